//! Interim.
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Posts a form.
pub async fn post_form(uri: &str, form: &[(&str, &str)], patience: Duration) -> Result<u16, String> {
    let url = url::Url::parse(uri).map_err(|error| error.to_string())?;
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let work = async {
        let mut stream = tokio::net::TcpStream::connect((
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or(80),
        ))
        .await
        .map_err(|error| error.to_string())?;
        let text = format!(
            "POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            url.path(),
            body.len()
        );
        stream.write_all(text.as_bytes()).await.map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.map_err(|error| error.to_string())?;
        String::from_utf8_lossy(&answer)
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| "no answer".to_owned())
    };
    tokio::time::timeout(patience, work).await.map_err(|_| "the client did not answer in time".to_owned())?
}
