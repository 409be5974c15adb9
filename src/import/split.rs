//! Cuts a stream into the JSON of one person each, without holding more than one of them.
//!
//! Two shapes are told apart by their first byte: lines (NDJSON), and one document that is a list or holds it as a member
//! (`{"users": […]}`). In lines a broken one is over at its end. In a document only strings and brackets are followed; what
//! stands between them is judged by the reader of the one element, so that a broken element spoils more than itself only when
//! its brackets do not match. Two things keep that in bounds. A string ends with its line at the latest, as it does in JSON.
//! And in an indented list, where each element begins with a line that holds its bracket alone, the next such line ends
//! an element that is not over; what was passed over is told. After a list the next list or document is read; anything else
//! there is told.

use std::io::{self, BufRead};

use super::fields::Problem;

/// Longest text of one person, in bytes.
pub const LONGEST: usize = 1 << 20;

/// The JSON of one person, or why it cannot be had.
#[derive(Debug)]
pub struct Piece {
    /// The line it begins on, from 1.
    pub line: u64,
    /// Its bytes.
    pub text: Result<Vec<u8>, Problem>,
}

/// The pieces of a stream.
pub struct Splitter<R> {
    input: R,
    line: u64,
    read: u64,
    shape: Option<Shape>,
    member: Option<&'static str>,
    start: LineStart,
    /// How far an element is indented whose first line was read already, because it ended the one before.
    begun: Option<usize>,
}

/// How the current line begins: its indentation and the first bytes after it, without white space.
struct LineStart {
    indent: usize,
    bytes: Vec<u8>,
}

impl LineStart {
    fn take(&mut self, byte: u8) {
        match byte {
            b'\n' => {
                self.indent = 0;
                self.bytes.clear();
            }
            b' ' | b'\t' if self.bytes.is_empty() => self.indent += 1,
            _ if self.bytes.len() > 3 || byte.is_ascii_whitespace() => {}
            _ => self.bytes.push(byte),
        }
    }
}

/// An element of a list while it is read.
struct Element {
    line: u64,
    text: Option<Vec<u8>>,
    depth: usize,
    indent: usize,
    /// Whether its bracket stands alone at the end of its first line.
    opened_alone: bool,
    /// Whether it is one of an indented list, as far as its lines tell.
    indented: bool,
}

impl Element {
    const fn new(line: u64, indent: usize) -> Self {
        Self { line, text: Some(Vec::new()), depth: 0, indent, opened_alone: false, indented: false }
    }

    /// One whose first line was read already.
    fn begun(line: u64, indent: usize) -> Self {
        Self { text: Some(b"{\n".to_vec()), depth: 1, opened_alone: true, ..Self::new(line, indent) }
    }

    fn is_object(&self) -> bool {
        self.text.as_ref().is_some_and(|text| text.first() == Some(&b'{'))
    }

    /// Looks at a line of it that is read; tells whether the next element begins on it. What is deeper in an indented list
    /// is the element's own, and whatever else stands further out may be about something else than people.
    fn is_ended_by(&mut self, line: u64, start: &LineStart) -> bool {
        let LineStart { indent, bytes } = start;
        if line == self.line {
            self.opened_alone = self.text.as_ref().is_some_and(|text| text.trim_ascii() == b"{");
        } else if line == self.line + 1 {
            self.indented = self.opened_alone && *indent > self.indent;
        } else if self.indented && *indent <= self.indent && !bytes.is_empty() {
            let next = *indent == self.indent && matches!(bytes.as_slice(), b"{" | b"},{");
            self.indented = *indent == self.indent && bytes[0] != b'"' && !bytes.contains(&b']');
            return next;
        }
        false
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Lines,
    /// Inside a list.
    List(Of),
    /// Before the list of a document, an object whose member holds it.
    Document,
    /// After it, inside the document still.
    Rest,
    /// After a whole list.
    Between,
    Over,
}

/// Whose list it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// The file's.
    File,
    /// That of a document.
    Document,
}

impl<R: BufRead> Splitter<R> {
    /// Reads lines, or a list; with a `member`, an object with the list under that name too.
    pub const fn new(input: R, member: Option<&'static str>) -> Self {
        let start = LineStart { indent: 0, bytes: Vec::new() };
        Self { input, line: 1, read: 0, shape: None, member, start, begun: None }
    }

    /// Bytes read so far.
    pub const fn bytes_read(&self) -> u64 {
        self.read
    }

    /// The next piece; none at the end.
    pub fn next_piece(&mut self) -> io::Result<Option<Piece>> {
        if self.shape.is_none() {
            self.shape = Some(self.begin()?);
        }
        loop {
            match self.shape {
                Some(Shape::Lines) => match self.next_line()? {
                    Some(piece) if is_blank(&piece) => {}
                    other => return Ok(other),
                },
                Some(Shape::Document | Shape::Rest) => {
                    if let Some(piece) = self.find_list()? {
                        return Ok(Some(piece));
                    }
                }
                Some(Shape::List(of)) => {
                    if let Some(piece) = self.next_element(of)? {
                        return Ok(Some(piece));
                    }
                }
                Some(Shape::Between) => {
                    if let Some(piece) = self.next_list()? {
                        return Ok(Some(piece));
                    }
                }
                Some(Shape::Over) | None => return Ok(None),
            }
        }
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.input.fill_buf() {
                Ok(bytes) => return Ok(bytes.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.peek()?;
        if let Some(byte) = byte {
            self.input.consume(1);
            self.read += 1;
            self.line += u64::from(byte == b'\n');
            self.start.take(byte);
        }
        Ok(byte)
    }

    fn skip_space(&mut self) -> io::Result<Option<u8>> {
        while let Some(byte) = self.peek()? {
            if !byte.is_ascii_whitespace() {
                return Ok(Some(byte));
            }
            self.byte()?;
        }
        Ok(None)
    }

    fn begin(&mut self) -> io::Result<Shape> {
        // The byte order mark that some editors and exports put first.
        for mark in [0xef, 0xbb, 0xbf] {
            if self.peek()? != Some(mark) {
                break;
            }
            self.byte()?;
        }
        Ok(match self.skip_space()? {
            Some(b'[') => {
                self.byte()?;
                Shape::List(Of::File)
            }
            Some(b'{') if self.member.is_some() => Shape::Document,
            _ => Shape::Lines,
        })
    }

    /// Goes on after a whole list: with the next one, as files that were put one behind the other have it.
    fn next_list(&mut self) -> io::Result<Option<Piece>> {
        let (shape, problem) = match (self.skip_space()?, self.begin()?) {
            (None, _) => (Shape::Over, None),
            (Some(_), Shape::Lines) => {
                (Shape::Over, Some("stands after the end of the list: nothing was read from here on"))
            }
            (Some(_), shape) => (shape, None),
        };
        self.shape = Some(shape);
        Ok(problem.map(|reason| Piece { line: self.line, text: Err(Problem::of_line(reason)) }))
    }

    fn next_line(&mut self) -> io::Result<Option<Piece>> {
        if self.peek()?.is_none() {
            return Ok(None);
        }
        let (line, mut text, mut long) = (self.line, Vec::new(), false);
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = &available[..end.unwrap_or(available.len())];
            long |= text.len() + part.len() > LONGEST;
            if long {
                text = Vec::new();
            } else {
                text.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            let over = end.is_some() || available.is_empty();
            self.input.consume(used);
            self.read += used as u64;
            if over {
                self.line += u64::from(end.is_some());
                return Ok(Some(Piece { line, text: if long { Err(too_long()) } else { Ok(text) } }));
            }
        }
    }

    /// Goes on to the list inside a document, or to the document's end after it. A document without one is a person itself.
    fn find_list(&mut self) -> io::Result<Option<Piece>> {
        let Some(wanted) = self.member else { return Ok(None) };
        self.skip_space()?;
        let rest = self.shape == Some(Shape::Rest);
        let (line, mut whole, mut depth) = (self.line, (!rest).then(Vec::new), usize::from(rest));
        let (mut key, mut in_key_place) = (Vec::new(), false);
        while let Some(byte) = self.skip_space_into(&mut whole)? {
            match byte {
                b'"' => {
                    let text = self.string(&mut whole)?;
                    if depth == 1 && in_key_place {
                        key = text;
                        in_key_place = false;
                    }
                }
                b'[' if depth == 1 && key == wanted.as_bytes() => {
                    self.byte()?;
                    self.shape = Some(Shape::List(Of::Document));
                    return Ok(None);
                }
                _ => {
                    self.keep(&mut whole)?;
                    match byte {
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    in_key_place = match byte {
                        b'{' | b',' => depth == 1,
                        _ => in_key_place && depth == 1,
                    };
                    if depth == 0 && rest {
                        self.shape = Some(Shape::Between);
                        return Ok(None);
                    }
                    if depth == 0 {
                        // The next object of the stream follows.
                        let text = whole.ok_or_else(too_long);
                        return Ok(Some(Piece { line, text }));
                    }
                }
            }
        }
        self.shape = Some(Shape::Over);
        let nothing = whole.as_ref().is_some_and(Vec::is_empty);
        Ok((!nothing).then(|| Piece { line, text: Err(Problem::of_line("is not whole: the file ends inside it")) }))
    }

    /// The next element of a list; none at its end.
    fn next_element(&mut self, of: Of) -> io::Result<Option<Piece>> {
        if let Some(indent) = self.begun.take() {
            return self.rest_of(Element::begun(self.line - 1, indent)).map(Some);
        }
        while let Some(b',') = self.skip_space()? {
            self.byte()?;
        }
        let line = self.line;
        match self.peek()? {
            Some(b']') => {
                self.byte()?;
                self.shape = Some(if of == Of::File { Shape::Between } else { Shape::Rest });
                return Ok(None);
            }
            None => {
                self.shape = Some(Shape::Over);
                let problem = Problem::of_line("is missing: the file ends inside its list");
                return Ok(Some(Piece { line, text: Err(problem) }));
            }
            Some(_) => {}
        }
        self.rest_of(Element::new(line, self.start.indent)).map(Some)
    }

    /// Reads an element to its end.
    fn rest_of(&mut self, mut element: Element) -> io::Result<Piece> {
        while let Some(byte) = self.peek()? {
            match byte {
                b'"' => drop(self.string(&mut element.text)?),
                b'\n' if element.is_ended_by(self.line, &self.start) => return self.broken(&element),
                b']' if element.depth == 0 => return Ok(element.into()),
                b',' if element.depth == 0 => {
                    self.byte()?;
                    // A member's name: the element was closed too early, and is none without its other members.
                    if self.skip_space()? != Some(b'"') || !element.is_object() {
                        return Ok(element.into());
                    }
                    if let Some(text) = &mut element.text {
                        text.push(b',');
                    }
                }
                _ => {
                    self.keep(&mut element.text)?;
                    match byte {
                        b'{' | b'[' => element.depth += 1,
                        b'}' | b']' => element.depth = element.depth.saturating_sub(1),
                        _ => {}
                    }
                }
            }
        }
        self.shape = Some(Shape::Over);
        let problem = Problem::of_line("is not whole: the file ends inside it");
        Ok(Piece { line: element.line, text: Err(problem) })
    }

    /// An element that is not over where the next one begins, on the current line.
    fn broken(&mut self, element: &Element) -> io::Result<Piece> {
        let problem = Problem::of_line(format!("is not whole: the next one begins on line {}", self.line));
        self.byte()?;
        self.begun = Some(element.indent);
        Ok(Piece { line: element.line, text: Err(problem) })
    }

    /// Takes a byte into the text, as long as the text is not too long.
    fn keep(&mut self, text: &mut Option<Vec<u8>>) -> io::Result<()> {
        let byte = self.byte()?;
        if let (Some(kept), Some(byte)) = (text.as_mut(), byte) {
            kept.push(byte);
            if kept.len() > LONGEST {
                *text = None;
            }
        }
        Ok(())
    }

    fn skip_space_into(&mut self, text: &mut Option<Vec<u8>>) -> io::Result<Option<u8>> {
        while let Some(byte) = self.peek()? {
            if !byte.is_ascii_whitespace() {
                return Ok(Some(byte));
            }
            self.keep(text)?;
        }
        Ok(None)
    }

    /// A string, to its closing quote or to the end of its line; its first bytes, without the quotes and with its escapes as
    /// they are.
    fn string(&mut self, text: &mut Option<Vec<u8>>) -> io::Result<Vec<u8>> {
        let mut start = Vec::new();
        self.keep(text)?;
        while let Some(byte) = self.peek()?.filter(|byte| *byte != b'\n') {
            self.keep(text)?;
            match byte {
                b'"' => break,
                b'\\' if self.peek()? != Some(b'\n') => self.keep(text)?,
                _ if start.len() < 64 => start.push(byte),
                _ => {}
            }
        }
        Ok(start)
    }
}

impl From<Element> for Piece {
    fn from(element: Element) -> Self {
        Self { line: element.line, text: element.text.ok_or_else(too_long) }
    }
}

fn is_blank(piece: &Piece) -> bool {
    piece.text.as_ref().is_ok_and(|text| text.iter().all(u8::is_ascii_whitespace))
}

fn too_long() -> Problem {
    Problem::of_line(format!("is longer than {LONGEST} bytes"))
}

#[cfg(test)]
#[path = "damage_tests.rs"]
mod damage_tests;

#[cfg(test)]
mod tests {
    use super::*;

    /// Line and text of each piece; a problem by its reason.
    fn pieces(input: &[u8], member: Option<&'static str>) -> Vec<(u64, String)> {
        let mut splitter = Splitter::new(io::BufReader::with_capacity(3, input), member);
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
        // By name: what stands between the brackets of the list, how many elements come through, and the problems.
        for (name, list, through, told) in [
            ("a missing bracket", "[\n {\n  \"a\": {\n },\n {\n  \"b\": 1\n }\n]", 1, vec![(2, ended(5))]),
            (
                "one after the other on a line",
                "[ {\n  \"a\": {\n}, {\n  \"b\": 1\n}, {\n  \"c\": 1\n} ]",
                2,
                vec![(1, ended(3))],
            ),
            ("a missing comma", "[\n{\n \"a\": 1\n}\n{\n \"b\": 1\n}\n]", 1, vec![(2, ended(5))]),
            (
                "each one",
                "[\n{\n \"a\": 1\n\n{\r\n \"b\": 1\n\n{\n \"c\": 1\n}\n]",
                1,
                vec![(2, ended(5)), (5, ended(8))],
            ),
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
}
