//! A CBOR parser for what authenticators send, and no more.
//!
//! Of RFC 8949 it supports integers in their shortest form (from -2^63 to 2^64 - 1), byte and text strings, arrays and
//! maps of definite length, `false`, `true`, `null`, `undefined` and floating-point numbers. It refuses indefinite
//! lengths, tags, long forms, other simple values, duplicate keys in a map, keys that are neither integer nor string,
//! and nesting deeper than [`MAX_DEPTH`]. The order of keys is free: authenticators differ in it.
//!
//! Nothing is allocated according to a declared length: a string is a slice of the input, and a count only bounds a
//! loop in which every step consumes input.

/// Maximum nesting of arrays and maps.
pub const MAX_DEPTH: u8 = 8;
/// Maximum number of entries in a map. It bounds the search for duplicate keys, which compares every pair.
pub const MAX_ENTRIES: usize = 128;

/// Why the bytes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The input ends inside an item.
    #[error("truncated")]
    Truncated,
    /// Bytes after the last item.
    #[error("trailing bytes")]
    Trailing,
    /// A length or number in more bytes than it needs.
    #[error("not in the shortest form")]
    NotShortest,
    /// A length that is not given at the start.
    #[error("indefinite length")]
    Indefinite,
    /// A tag.
    #[error("a tag")]
    Tag,
    /// A reserved or unassigned initial byte.
    #[error("not a known item")]
    Unknown,
    /// A text string that is not UTF-8.
    #[error("a text that is not UTF-8")]
    NotUtf8,
    /// Too many levels.
    #[error("nested too deeply")]
    Depth,
    /// A key occurs twice.
    #[error("a key is repeated")]
    Duplicate,
    /// Too many entries in one map.
    #[error("too many entries")]
    Entries,
    /// A key that is neither integer, byte string nor text string.
    #[error("a key of a type that is not allowed")]
    Key,
    /// Another type than required.
    #[error("an item of the wrong type")]
    Type,
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;

/// A position in the input.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    levels: u8,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `input`.
    pub const fn new(input: &'a [u8]) -> Self {
        Self { rest: input, levels: MAX_DEPTH }
    }

    /// The input that has not been read.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Requires that everything has been read.
    pub const fn end(&self) -> Result<(), Fault> {
        if self.rest.is_empty() { Ok(()) } else { Err(Fault::Trailing) }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Fault::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// An unsigned number of 1, 2, 4 or 8 bytes.
    fn number(&mut self, width: usize) -> Result<u64, Fault> {
        Ok(self.take(width)?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    /// The initial byte and its argument, for every type that has a length or a number (RFC 8949 §3).
    fn head(&mut self) -> Result<(u8, u64), Fault> {
        let first = self.take(1)?[0];
        let (major, info) = (first >> 5, first & 0x1f);
        let (width, smallest) = match info {
            0..=23 => return Ok((major, u64::from(info))),
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            31 if matches!(major, BYTES | TEXT | ARRAY | MAP) => return Err(Fault::Indefinite),
            _ => return Err(Fault::Unknown),
        };
        let argument = self.number(width)?;
        if argument < smallest { Err(Fault::NotShortest) } else { Ok((major, argument)) }
    }

    fn argument_of(&mut self, wanted: u8) -> Result<u64, Fault> {
        if self.rest.first().is_some_and(|first| first >> 5 != wanted) {
            return Err(Fault::Type);
        }
        self.head().map(|(_, argument)| argument)
    }

    fn string(&mut self, length: u64) -> Result<&'a [u8], Fault> {
        self.take(usize::try_from(length).map_err(|_| Fault::Truncated)?)
    }

    /// A byte string.
    pub fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.argument_of(BYTES)?;
        self.string(length)
    }

    /// A text string.
    pub fn text(&mut self) -> Result<&'a str, Fault> {
        let length = self.argument_of(TEXT)?;
        std::str::from_utf8(self.string(length)?).map_err(|_| Fault::NotUtf8)
    }

    /// An integer. Those outside `i64` are not used in WebAuthn and count as the wrong type.
    pub fn int(&mut self) -> Result<i64, Fault> {
        let (major, argument) = match self.rest.first().map(|first| first >> 5) {
            Some(UNSIGNED | NEGATIVE) | None => self.head()?,
            Some(_) => return Err(Fault::Type),
        };
        let value = i64::try_from(argument).map_err(|_| Fault::Type)?;
        Ok(if major == NEGATIVE { -1 - value } else { value })
    }

    /// `false` or `true`.
    pub fn bool(&mut self) -> Result<bool, Fault> {
        match self.take(1)?[0] {
            0xf4 => Ok(false),
            0xf5 => Ok(true),
            _ => Err(Fault::Type),
        }
    }

    /// Any single item, validated to its full depth; returns its bytes.
    pub fn item(&mut self) -> Result<&'a [u8], Fault> {
        let start = self.rest;
        match start.first().ok_or(Fault::Truncated)? >> 5 {
            UNSIGNED => self.head().map(drop)?,
            // The library's parser of extensions fails below -2^63.
            NEGATIVE => self.int().map(drop)?,
            BYTES => self.bytes().map(drop)?,
            TEXT => self.text().map(drop)?,
            ARRAY => self.array()?,
            MAP => self.map(|_, value| value.item().map(drop))?,
            TAG => return Err(Fault::Tag),
            _ => self.simple()?,
        }
        Ok(&start[..start.len() - self.rest.len()])
    }

    /// RFC 8949 §3.3: 20 to 23 are false, true, null, undefined; 25 to 27 floating point numbers.
    fn simple(&mut self) -> Result<(), Fault> {
        match self.take(1)?[0] & 0x1f {
            20..=23 => Ok(()),
            25 => self.take(2).map(drop),
            26 => self.take(4).map(drop),
            27 => self.take(8).map(drop),
            _ => Err(Fault::Unknown),
        }
    }

    fn array(&mut self) -> Result<(), Fault> {
        let count = self.argument_of(ARRAY)?;
        self.nested(|inner| {
            for _ in 0..count {
                inner.item()?;
            }
            Ok(())
        })
    }

    /// A map: `entry` receives each key, as a reader of only the key, and must read the value. No key occurs twice.
    pub fn map<E: From<Fault>>(
        &mut self,
        mut entry: impl FnMut(&mut Reader<'a>, &mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let count = self.argument_of(MAP)?;
        self.nested(|inner| {
            // Keys are in the shortest form, so equal keys have equal bytes.
            let mut keys: Vec<&[u8]> = Vec::new();
            for _ in 0..count {
                let key = inner.key()?;
                if keys.contains(&key) {
                    return Err(Fault::Duplicate.into());
                }
                if keys.len() == MAX_ENTRIES {
                    return Err(Fault::Entries.into());
                }
                keys.push(key);
                entry(&mut Reader::new(key), inner)?;
            }
            Ok(())
        })
    }

    fn key(&mut self) -> Result<&'a [u8], Fault> {
        match self.rest.first().ok_or(Fault::Truncated)? >> 5 {
            UNSIGNED | NEGATIVE | BYTES | TEXT => self.item(),
            _ => Err(Fault::Key),
        }
    }

    fn nested<T, E: From<Fault>>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        self.levels = self.levels.checked_sub(1).ok_or(Fault::Depth)?;
        let value = read(self)?;
        self.levels += 1;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(input: &[u8]) -> Result<(), Fault> {
        let mut reader = Reader::new(input);
        reader.item()?;
        reader.end()
    }

    #[test]
    fn items_by_name() {
        let table: &[(&str, &[u8], Result<(), Fault>)] = &[
            ("23 in one byte", &[0x17], Ok(())),
            ("23 in two bytes", &[0x18, 23], Err(Fault::NotShortest)),
            ("24 in two bytes", &[0x18, 24], Ok(())),
            ("255 in three bytes", &[0x19, 0, 255], Err(Fault::NotShortest)),
            ("65535 in five bytes", &[0x1a, 0, 0, 255, 255], Err(Fault::NotShortest)),
            ("2^32 - 1 in nine bytes", &[0x1b, 0, 0, 0, 0, 255, 255, 255, 255], Err(Fault::NotShortest)),
            ("2^32", &[0x1b, 0, 0, 0, 1, 0, 0, 0, 0], Ok(())),
            ("-1 in two bytes", &[0x38, 0], Err(Fault::NotShortest)),
            ("-2^63", &[0x3b, 0x7f, 255, 255, 255, 255, 255, 255, 255], Ok(())),
            ("-2^63 - 1", &[0x3b, 0x80, 0, 0, 0, 0, 0, 0, 0], Err(Fault::Type)),
            ("length 1 in two bytes", &[0x58, 1, 0], Err(Fault::NotShortest)),
            ("argument reserved", &[0x1c], Err(Fault::Unknown)),
            ("integer without length", &[0x1f], Err(Fault::Unknown)),
            ("bytes without length", &[0x5f, 0x41, 0, 0xff], Err(Fault::Indefinite)),
            ("text without length", &[0x7f, 0xff], Err(Fault::Indefinite)),
            ("array without length", &[0x9f, 0xff], Err(Fault::Indefinite)),
            ("map without length", &[0xbf, 0xff], Err(Fault::Indefinite)),
            ("break alone", &[0xff], Err(Fault::Unknown)),
            ("tag", &[0xc0, 0x60], Err(Fault::Tag)),
            ("tag inside", &[0x81, 0xd8, 0x18, 0x40], Err(Fault::Tag)),
            ("text that is not UTF-8", &[0x61, 0xff], Err(Fault::NotUtf8)),
            ("null", &[0xf6], Ok(())),
            ("simple value 0", &[0xe0], Err(Fault::Unknown)),
            ("simple value 32", &[0xf8, 32], Err(Fault::Unknown)),
            ("half float", &[0xf9, 0x3c, 0], Ok(())),
            ("double cut", &[0xfb, 0, 0], Err(Fault::Truncated)),
            ("map", &[0xa2, 0x01, 0x02, 0x20, 0x40], Ok(())),
            ("map out of order", &[0xa2, 0x20, 0x40, 0x01, 0x02], Ok(())),
            ("repeated key", &[0xa2, 0x01, 0x02, 0x01, 0x02], Err(Fault::Duplicate)),
            ("repeated key inside", &[0x81, 0xa2, 0x60, 0, 0x60, 0], Err(Fault::Duplicate)),
            ("key is a float", &[0xa1, 0xf9, 0, 0, 0], Err(Fault::Key)),
            ("key is a map", &[0xa1, 0xa0, 0], Err(Fault::Key)),
            ("nothing", &[], Err(Fault::Truncated)),
            ("two items", &[0, 0], Err(Fault::Trailing)),
            ("bytes of 2^32", &[0x5b, 0, 0, 0, 1, 0, 0, 0, 0], Err(Fault::Truncated)),
            ("array of 2^62", &[0x9b, 0x40, 0, 0, 0, 0, 0, 0, 0], Err(Fault::Truncated)),
            ("map of 2^63", &[0xbb, 0x80, 0, 0, 0, 0, 0, 0, 0], Err(Fault::Truncated)),
        ];
        for (name, input, expected) in table {
            assert_eq!(verdict(input), *expected, "{name}");
        }
    }

    #[test]
    fn nesting_and_counts_are_bounded() {
        let nested = |levels| [vec![0x81; levels], vec![0]].concat();
        assert_eq!(verdict(&nested(8)), Ok(()));
        assert_eq!(verdict(&nested(9)), Err(Fault::Depth));
        assert_eq!(verdict(&nested(100_000)), Err(Fault::Depth));
        assert_eq!(verdict(&vec![0xc0; 100_000]), Err(Fault::Tag));
        assert_eq!(verdict(&[0x82, 0x81, 0x81, 0, 0x81, 0x81, 0]), Ok(()), "levels are given back");

        let wide = |entries: u8| {
            let mut map = vec![0xb8, entries];
            map.extend((0..entries).flat_map(|n| [0x41, n, 0]));
            map
        };
        assert_eq!(verdict(&wide(128)), Ok(()));
        assert_eq!(verdict(&wide(129)), Err(Fault::Entries));
    }

    #[test]
    fn typed_reads() {
        assert_eq!(Reader::new(&[0x39, 0x01, 0x00]).int(), Ok(-257));
        assert_eq!(Reader::new(&[0x3b, 0x7f, 255, 255, 255, 255, 255, 255, 255]).int(), Ok(i64::MIN));
        assert_eq!(Reader::new(&[0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0]).int(), Err(Fault::Type));
        assert_eq!(Reader::new(&[0x40]).int(), Err(Fault::Type));
        assert_eq!(Reader::new(&[]).int(), Err(Fault::Truncated));
        assert_eq!(Reader::new(&[0x61, b'a']).text(), Ok("a"));
        assert_eq!(Reader::new(&[0x41, b'a']).text(), Err(Fault::Type));
        assert_eq!(Reader::new(&[0x61, b'a']).bytes(), Err(Fault::Type));
        assert_eq!(Reader::new(&[0xf5]).bool(), Ok(true));
        assert_eq!(Reader::new(&[0xf6]).bool(), Err(Fault::Type));
    }
}
