//! How a file is cut into pieces.

use super::*;

/// Line and text of each piece; for a problem its reason.
fn pieces(input: &[u8], member: Option<&'static str>) -> Vec<(u64, String)> {
    let mut splitter = Splitter::new(io::BufReader::with_capacity(3, input), member, Some("others"));
    let mut found = Vec::new();
    while let Some(piece) = splitter.next_piece().unwrap() {
        let text = piece
            .text
            .map_or_else(|problem| format!("! {problem}"), |text| String::from_utf8_lossy(&text).trim().to_owned());
        found.push((piece.line, text));
    }
    found
}

fn owned(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|(line, text)| (*line, (*text).to_owned())).collect()
}

#[test]
fn lines() {
    let input = b"\xef\xbb\xbf{\"a\":1}\r\n\n  \n{\"b\":\n{}\nnull";
    let expected = [(1, "{\"a\":1}"), (4, "{\"b\":"), (5, "{}"), (6, "null")];
    assert_eq!(pieces(input, None), owned(&expected));
    assert_eq!(pieces(b"", None), []);
    assert_eq!(pieces(b"\xef\xbb\xbf\r\n", None), []);
}

#[test]
fn lists() {
    let input = b" [\n{\"a\":[1,2],\"b\":\"]},{\\\"\"},\n\n {\"c\":{}} , 7]\ntrailing";
    let after = "! stands after the end of the list: nothing was read from here on";
    let expected = [(2, "{\"a\":[1,2],\"b\":\"]},{\\\"\"}"), (4, "{\"c\":{}}"), (4, "7"), (5, after)];
    assert_eq!(pieces(input, None), owned(&expected));
    assert_eq!(pieces(b"[]", None), []);
    let cut = [(1, "{}"), (1, "! is not whole: the file ends inside it")];
    assert_eq!(pieces(b"[{},{\"a\":\"", None), owned(&cut));
    assert_eq!(pieces(b"[{},", None), owned(&[(1, "{}"), (1, "! is missing: the file ends inside its list")]));
}

#[test]
fn a_list_inside_a_document() {
    let input = b"{\"realm\":\"x\",\"clients\":[{\"users\":[1]}],\"note\":\"users\",\n\"users\": [ {\"a\":1},\n{\"b\":2} ],\"rest\":[3]}";
    assert_eq!(pieces(input, Some("users")), owned(&[(2, "{\"a\":1}"), (3, "{\"b\":2}")]));
}

#[test]
fn a_list_of_people_that_is_passed_over_is_told() {
    let told = "! begins `others`: of the people in that list nothing is read";
    for (name, input, expected) in [
        ("after the list", "{\"users\":[1],\n\"others\":[2,\n[3]],\"x\":[]}", vec![(1, "1"), (2, told)]),
        ("before it", "{\"others\": [\n{\"others\":[4]}],\n\"users\":[1]}", vec![(1, told), (3, "1")]),
        ("an empty one", "{\"others\":[ ],\"users\":[1]}", vec![(1, "1")]),
        ("of somebody", "{\"users\":[{\"others\":[1]}],\"x\":{\"others\":[1]}}", vec![(1, "{\"others\":[1]}")]),
    ] {
        assert_eq!(pieces(input.as_bytes(), Some("users")), owned(&expected), "{name}");
    }
}

#[test]
fn another_encoding_is_refused_once() {
    for (input, expected) in [
        (&b"\xff\xfe{\0}\0\n\0{\0}\0"[..], "it is UTF-16: write it anew as UTF-8"),
        (b"\xfe\xff\0{\0}", "it is UTF-16: write it anew as UTF-8"),
        (b"\x1f\x8b\x08\n\n", "it is compressed: unpack it first"),
    ] {
        let mut splitter = Splitter::new(io::BufReader::with_capacity(3, input), None, None);
        assert_eq!(splitter.next_piece().unwrap_err().to_string(), expected);
    }
}

#[test]
fn what_follows_a_list_is_read_or_told() {
    let told = "! stands after the end of the list: nothing was read from here on";
    let cut = "! is not whole: the file ends inside it";
    for (name, input, member, expected) in [
        ("white space", "[1]\n \r\n", None, vec![(1, "1")]),
        ("a second list", "[1]\n[2,\n3]\n", None, vec![(1, "1"), (2, "2"), (3, "3")]),
        ("an empty one between", "[1][] [2]", None, vec![(1, "1"), (1, "2")]),
        ("a bracket too many", "[1]]\n[2]", None, vec![(1, "1"), (1, told)]),
        ("a list that was closed too early", "[1],\n2]", None, vec![(1, "1"), (1, told)]),
        ("lines", "[1]\n{}\n{}", None, vec![(1, "1"), (2, told)]),
        ("a second document", "{\"users\":[1]}\n{\"users\":[2]}", Some("users"), vec![(1, "1"), (2, "2")]),
        (
            "a list after a document",
            "{\"users\":[1],\"x\":{\"users\":[9]}} [2]",
            Some("users"),
            vec![(1, "1"), (1, "2")],
        ),
        ("the member twice", "{\"users\":[1],\n\"users\":[2]}", Some("users"), vec![(1, "1"), (2, "2")]),
        ("a cut document", "{\"users\":[1],\n\"x\":[", Some("users"), vec![(1, "1"), (1, cut)]),
        ("words after a document", "{\"users\":[1]}\nx", Some("users"), vec![(1, "1"), (2, told)]),
    ] {
        assert_eq!(pieces(input.as_bytes(), member), owned(&expected), "{name}");
    }
}

#[test]
fn a_broken_element_ends_where_the_next_one_begins() {
    let ended = |line: u64| format!("! is not whole: the next one begins on line {line}");
    let whole = "! is not whole: the file ends inside it";
    // By name: the content of the list's brackets, how many elements are read, and the problems.
    for (name, list, through, told) in [
        ("a missing bracket", "[\n {\n  \"a\": {\n },\n {\n  \"b\": 1\n }\n]", 1, vec![(2, ended(5))]),
        (
            "one after the other on a line",
            "[ {\n  \"a\": {\n}, {\n  \"b\": 1\n}, {\n  \"c\": 1\n} ]",
            2,
            vec![(1, ended(3))],
        ),
        ("a missing comma", "[\n{\n \"a\": 1\n}\n{\n \"b\": 1\n}\n]", 1, vec![(2, ended(5))]),
        ("each one", "[\n{\n \"a\": 1\n\n{\r\n \"b\": 1\n\n{\n \"c\": 1\n}\n]", 1, vec![(2, ended(5)), (5, ended(8))]),
        ("the last one", "[\n{\n \"a\": 1\n},\n{\n \"b\": 1\n]\n", 1, vec![(5, whole.to_owned())]),
        ("not indented", "[\n{\n\"a\": [\n{\n},\n{\n}\n\n},\n{\n}\n]", 0, vec![(2, whole.to_owned())]),
        (
            "people are over",
            "[ {\n  \"a\": {\n} ],\n\"c\": [ {\n  \"d\": 1\n}, {\n  \"d\": 2\n} ] }",
            0,
            vec![(1, whole.to_owned())],
        ),
    ] {
        let (problems, rest): (Vec<_>, Vec<_>) =
            pieces(list.as_bytes(), None).into_iter().partition(|(_, text)| text.starts_with('!'));
        assert_eq!((rest.len(), problems), (through, told), "{name}");
    }
}

#[test]
fn a_quote_too_few_spoils_its_line_only() {
    let input = b"[\n{\"a\": \"x,\n\"b\": 1},\n{\"c\": \"y\\\n\",\n\"d\": 1},\n{}]";
    let expected = [(2, "{\"a\": \"x,\n\"b\": 1}"), (4, "{\"c\": \"y\\\n\",\n\"d\": 1}"), (7, "{}")];
    assert_eq!(pieces(input, None), owned(&expected));
}

#[test]
fn an_element_that_is_closed_too_early_is_none_without_its_other_members() {
    let input = b"[{\"a\":1},\"b\":[{},{}]},{\"c\":1}]";
    assert_eq!(pieces(input, None), owned(&[(1, "{\"a\":1},\"b\":[{},{}]}"), (1, "{\"c\":1}")]));
}

#[test]
fn objects_one_after_the_other_where_a_document_might_be() {
    let input = b"{\"id\":1,\"tags\":[\"users\"]}\n{\"id\":2}\n\n{\"id\":";
    let expected =
        [(1, "{\"id\":1,\"tags\":[\"users\"]}"), (2, "{\"id\":2}"), (4, "! is not whole: the file ends inside it")];
    assert_eq!(pieces(input, Some("users")), owned(&expected));
}

#[test]
fn what_is_too_long_is_named_and_the_rest_goes_on() {
    let long = "x".repeat(10 << 20);
    let named = format!("! is longer than {LONGEST} bytes");
    let lines = format!("{{}}\n{{\"a\":\"{long}\"}}\n{{}}\n");
    assert_eq!(pieces(lines.as_bytes(), None), owned(&[(1, "{}"), (2, &named), (3, "{}")]));
    let list = format!("[{{}},\n{{\"a\":\"{long}\"}},\n{{}}]");
    assert_eq!(pieces(list.as_bytes(), None), owned(&[(1, "{}"), (2, &named), (3, "{}")]));
    let document = format!("{{\"a\":\"{long}\",\"users\":[{{}}]}}");
    assert_eq!(pieces(document.as_bytes(), Some("users")), owned(&[(1, "{}")]));
}
