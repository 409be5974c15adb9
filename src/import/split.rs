//! Cuts a stream into the JSON of one person each, without holding more than one of them.
//!
//! The first byte distinguishes two shapes: lines (NDJSON), and one document that is a list or holds it as a member
//! (`{"users": […]}`). A broken line ends with the line. In a document only strings and brackets are tracked; the rest
//! is left to the reader of each element, so that a broken element affects others only if its brackets do not match.
//! Two rules limit that damage. A string ends with its line at the latest, as JSON requires. And in an indented list,
//! where each element starts with a line that holds only its bracket, the next such line ends an unfinished element;
//! what was skipped is reported. After a list the next list or document is read; anything else there is reported.

use std::io::{self, BufRead};

use super::fields::Problem;

/// The longest text of one person, in bytes.
pub const LONGEST: usize = 1 << 20;

/// The JSON of one person, or why it cannot be read.
#[derive(Debug)]
pub struct Piece {
    /// The line that it starts on, from 1.
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
    /// The member of a document with people who are skipped; and the line where such a list started, until it is
    /// reported.
    other: Option<&'static str>,
    passed_over: Option<u64>,
    start: LineStart,
    /// The indentation of an element whose first line was already read, because it ended the element before.
    begun: Option<usize>,
}

/// The start of the current line: its indentation and the first bytes after it, without white space.
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

/// An element of a list being read.
struct Element {
    line: u64,
    text: Option<Vec<u8>>,
    depth: usize,
    indent: usize,
    /// Whether its first line contains only its bracket.
    opened_alone: bool,
    /// Whether it is in an indented list, judging by its lines so far.
    indented: bool,
}

impl Element {
    const fn new(line: u64, indent: usize) -> Self {
        Self { line, text: Some(Vec::new()), depth: 0, indent, opened_alone: false, indented: false }
    }

    /// An element whose first line was already read.
    fn begun(line: u64, indent: usize) -> Self {
        Self { text: Some(b"{\n".to_vec()), depth: 1, opened_alone: true, ..Self::new(line, indent) }
    }

    fn is_object(&self) -> bool {
        self.text.as_ref().is_some_and(|text| text.first() == Some(&b'{'))
    }

    /// Examines a line read within the element. Returns whether the next element starts on it. In an indented list,
    /// deeper lines belong to the element; lines further out may belong to something other than people.
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
    /// Before the list of a document (an object with the list as a member).
    Document,
    /// After that list, still inside the document.
    Rest,
    /// After a complete list.
    Between,
    Over,
}

/// Where a list is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// At the top level of the file.
    File,
    /// Inside a document.
    Document,
}

impl<R: BufRead> Splitter<R> {
    /// Reads lines or a list; with `member`, also an object that holds the list under that name. A second list under
    /// the name `other` is reported and skipped.
    pub const fn new(input: R, member: Option<&'static str>, other: Option<&'static str>) -> Self {
        let start = LineStart { indent: 0, bytes: Vec::new() };
        Self { input, line: 1, read: 0, shape: None, member, other, passed_over: None, start, begun: None }
    }

    /// Bytes read so far.
    pub const fn bytes_read(&self) -> u64 {
        self.read
    }

    /// The next piece; `None` at the end.
    pub fn next_piece(&mut self) -> io::Result<Option<Piece>> {
        if self.shape.is_none() {
            self.refuse_foreign()?;
            self.shape = Some(self.begin()?);
        }
        loop {
            if let Some((line, name)) = self.passed_over.take().zip(self.other) {
                let reason = format!("begins `{name}`: of the people in that list nothing is read");
                return Ok(Some(Piece { line, text: Err(Problem::of_line(reason)) }));
            }
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

    /// Refuses a file in another encoding, which would otherwise yield an error for every line without the real reason.
    fn refuse_foreign(&mut self) -> io::Result<()> {
        self.peek()?;
        let reason = match self.input.fill_buf()? {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it is UTF-16: write it anew as UTF-8",
            [0x1f, 0x8b, ..] => "it is compressed: unpack it first",
            _ => return Ok(()),
        };
        Err(io::Error::new(io::ErrorKind::InvalidData, reason))
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
        // The byte order mark that some editors and exports write first.
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

    /// Continues after a complete list with the next one, as in concatenated files.
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

    /// Continues to the list inside a document, or after it to the document's end. A document without one is itself a
    /// person.
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
                    let begun = self.line;
                    let is_other =
                        self.other.is_some_and(|other| byte == b'[' && depth == 1 && key == other.as_bytes());
                    if is_other && self.skip_space_into(&mut whole)? != Some(b']') {
                        self.passed_over = Some(begun);
                    }
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

    /// The next element of a list; `None` at its end.
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
                    // A member's name: the element was closed too early and continues.
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

    /// Reports an element that is incomplete where the next one starts, on the current line.
    fn broken(&mut self, element: &Element) -> io::Result<Piece> {
        let problem = Problem::of_line(format!("is not whole: the next one begins on line {}", self.line));
        self.byte()?;
        self.begun = Some(element.indent);
        Ok(Piece { line: element.line, text: Err(problem) })
    }

    /// Appends a byte to the text, unless the text is too long.
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

    /// Reads a string to its closing quote or the end of its line. Returns its first bytes, without quotes and with
    /// escapes unchanged.
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
#[path = "split_tests.rs"]
mod tests;
