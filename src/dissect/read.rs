//! The only place where bytes are sliced: a cursor that cannot run over the end.
//!
//! A dissector asks for the fields it expects, in order, and `?` carries the one thing that can go
//! wrong: the bytes ended first.

use std::fmt;

/// The bytes ended before the field that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short;

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes end before the field does")
    }
}

impl std::error::Error for Short {}

/// Which end of an integer comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The most significant byte.
    Big,
    /// The least significant byte.
    Little,
}

/// A cursor over bytes, with the order in which its integers are read.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    order: Order,
}

impl<'a> Reader<'a> {
    /// At the start of `bytes`.
    pub fn new(bytes: &'a [u8], order: Order) -> Reader<'a> {
        Reader {
            bytes,
            at: 0,
            order,
        }
    }

    /// At the start of `bytes`, with integers as the Internet sends them.
    pub fn big(bytes: &'a [u8]) -> Reader<'a> {
        Reader::new(bytes, Order::Big)
    }

    /// At the start of `bytes`, with integers as Windows sends them.
    pub fn little(bytes: &'a [u8]) -> Reader<'a> {
        Reader::new(bytes, Order::Little)
    }

    /// The order of its integers.
    pub fn order(&self) -> Order {
        self.order
    }

    /// How many bytes lie before the cursor.
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many bytes lie after the cursor.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// `Short`, with the cursor where it was, if there are fewer.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Short> {
        let rest = self.bytes.get(self.at..).ok_or(Short)?;
        let taken = rest.get(..len).ok_or(Short)?;
        self.at += len;
        Ok(taken)
    }

    /// The next `len` bytes, or as many as there are.
    pub fn up_to(&mut self, len: usize) -> &'a [u8] {
        let len = len.min(self.left());
        self.take(len).unwrap_or_default()
    }

    /// Everything after the cursor, which then stands at the end.
    pub fn rest(&mut self) -> &'a [u8] {
        self.up_to(usize::MAX)
    }

    /// Passes over `len` bytes.
    ///
    /// # Errors
    /// `Short` if there are fewer.
    pub fn skip(&mut self, len: usize) -> Result<(), Short> {
        self.take(len).map(|_| ())
    }

    /// Passes over padding up to a multiple of `size` bytes from where this reader began.
    ///
    /// # Errors
    /// `Short` if the padding is not there.
    pub fn align(&mut self, size: usize) -> Result<(), Short> {
        let over = self.at.checked_rem(size).unwrap_or(0);
        match over {
            0 => Ok(()),
            over => self.skip(size - over),
        }
    }

    /// A reader of the next `len` bytes alone, in the same order; this one passes over them.
    ///
    /// # Errors
    /// `Short` if there are fewer.
    pub fn sub(&mut self, len: usize) -> Result<Reader<'a>, Short> {
        Ok(Reader::new(self.take(len)?, self.order))
    }

    /// The next `N` bytes by value.
    ///
    /// # Errors
    /// `Short` if there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        self.take(N)?.try_into().map_err(|_| Short)
    }

    /// The next byte.
    ///
    /// # Errors
    /// `Short` at the end.
    pub fn u8(&mut self) -> Result<u8, Short> {
        self.array().map(|[byte]| byte)
    }

    /// The next two bytes as an integer.
    ///
    /// # Errors
    /// `Short` if there are fewer.
    pub fn u16(&mut self) -> Result<u16, Short> {
        let bytes = self.array()?;
        Ok(match self.order {
            Order::Big => u16::from_be_bytes(bytes),
            Order::Little => u16::from_le_bytes(bytes),
        })
    }

    /// The next four bytes as an integer.
    ///
    /// # Errors
    /// `Short` if there are fewer.
    pub fn u32(&mut self) -> Result<u32, Short> {
        let bytes = self.array()?;
        Ok(match self.order {
            Order::Big => u32::from_be_bytes(bytes),
            Order::Little => u32::from_le_bytes(bytes),
        })
    }

    /// The next eight bytes as an integer.
    ///
    /// # Errors
    /// `Short` if there are fewer.
    pub fn u64(&mut self) -> Result<u64, Short> {
        let bytes = self.array()?;
        Ok(match self.order {
            Order::Big => u64::from_be_bytes(bytes),
            Order::Little => u64::from_le_bytes(bytes),
        })
    }

    /// The bytes up to the next `end`, which is passed over and not returned.
    ///
    /// # Errors
    /// `Short`, with the cursor where it was, if `end` does not occur.
    pub fn until(&mut self, end: u8) -> Result<&'a [u8], Short> {
        let rest = self.clone().rest();
        let len = rest.iter().position(|byte| *byte == end).ok_or(Short)?;
        let taken = self.take(len)?;
        self.skip(1)?;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    #[test]
    fn integers_come_in_the_order_of_the_reader() {
        let (mut big, mut little) = (Reader::big(&BYTES), Reader::little(&BYTES));
        assert_eq!(big.u16(), Ok(0x0102));
        assert_eq!(little.u16(), Ok(0x0201));
        assert_eq!(big.u32(), Ok(0x03040506));
        assert_eq!(little.u32(), Ok(0x06050403));
        assert_eq!(Reader::big(&BYTES).u64(), Ok(0x0102030405060708));
        assert_eq!(Reader::little(&BYTES).u64(), Ok(0x0807060504030201));
    }

    #[test]
    fn a_short_read_leaves_the_cursor_where_it_was() {
        let mut r = Reader::big(&BYTES);
        r.skip(6).expect("eight bytes");
        assert_eq!(r.u32(), Err(Short));
        assert_eq!(r.take(usize::MAX), Err(Short));
        assert_eq!((r.position(), r.left()), (6, 2));
        assert_eq!(r.u16(), Ok(0x0708));
        assert_eq!(r.u8(), Err(Short));
    }

    #[test]
    fn alignment_counts_from_where_the_reader_began() {
        let mut whole = Reader::big(&BYTES);
        whole.skip(1).expect("eight bytes");
        let mut part = whole.sub(6).expect("eight bytes");
        part.align(4).expect("already there");
        assert_eq!(part.u8(), Ok(2));
        part.align(4).expect("three more");
        assert_eq!(part.u8(), Ok(6));
        assert_eq!(part.align(4), Err(Short));
        assert_eq!(part.align(0), Ok(()));
        assert_eq!(whole.rest(), [8]);
    }

    #[test]
    fn a_terminated_field_ends_before_its_terminator() {
        let mut r = Reader::big(b"mail\0rest");
        assert_eq!(r.until(0), Ok(&b"mail"[..]));
        assert_eq!(r.until(0), Err(Short));
        assert_eq!(r.rest(), b"rest");
    }
}
