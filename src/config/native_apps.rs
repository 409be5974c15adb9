//! The native apps of a relying party: `relying_parties.<name>.apple_apps` and `android_apps`.

use serde_json::{Map, Value};

use super::problems::Wrong;
use super::reader::Reader;
use super::tables::TableList;
use crate::domain::native_apps::{AndroidApp, AppleApp, Certificate, NativeApps};

const ANDROID: TableList = TableList {
    entry: "entry",
    members: &["package", "sha256"],
    may_be_empty: true,
    example: "[ { package = \"com.example.app\", sha256 = [\"FA:C6:17:…\"] } ]",
};

/// Reads both lists; `key` makes the path of one of the relying party's settings.
pub(super) fn read(reader: &mut Reader<'_>, key: impl Fn(&str) -> String) -> NativeApps {
    let apple = |text: &str| AppleApp::parse(text).map_err(|fault| Wrong::in_value(text, fault));
    let android = |entry: &Map<String, Value>, before: &[AndroidApp]| {
        let one = android(entry)?;
        if before.iter().any(|other| other.package() == one.package()) {
            return Err(Wrong::new("has a package that is listed before", "list its certificates in one entry"));
        }
        Ok(one)
    };
    NativeApps {
        apple: reader.list_as(&key("apple_apps"), apple).unwrap_or_default(),
        android: ANDROID.read(reader, &key("android_apps"), android),
    }
}

fn android(entry: &Map<String, Value>) -> Result<AndroidApp, Wrong> {
    let missing = |what: &str| Wrong::new(what, format!("write a list: {}", ANDROID.example));
    let package = entry.get("package").and_then(Value::as_str);
    let package = package.ok_or_else(|| missing("has no package, or one that is not text"))?;
    let prints = entry.get("sha256").and_then(Value::as_array).filter(|list| !list.is_empty());
    let prints = prints.ok_or_else(|| missing("has no sha256, or one that is not a list of texts"))?;
    let certificate = |print: &Value| {
        let parsed = Certificate::parse(print.as_str().unwrap_or_default());
        parsed.map_err(|fault| Wrong::new(format!("has in sha256 {print}, which {}", fault.what), fault.cure))
    };
    let certificates = prints.iter().map(certificate).collect::<Result<Vec<_>, _>>()?;
    AndroidApp::new(package, certificates)
        .map_err(|fault| Wrong::new(format!("has a package that {}", fault.what), fault.cure))
}
