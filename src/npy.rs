//! Arrays on disk in NumPy's `.npy` format: reads without trusting the header, writes what NumPy
//! would. Knows numbers and shapes, not what they mean.

use crate::problem::{Problem, Result};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// An array in memory, C order.
#[derive(Debug, Clone, PartialEq)]
pub struct Array<T> {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its numbers, the last axis fastest.
    pub data: Vec<T>,
}

/// The number type of an array on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// Little- or big-endian 16-bit floats.
    F16,
    /// Little- or big-endian 32-bit floats.
    F32,
    /// Little- or big-endian 64-bit floats.
    F64,
    /// Bytes.
    U8,
    /// 64-bit signed integers.
    I64,
}

impl Element {
    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F16 => 2,
            Self::F32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }
}

/// What a header says, checked against the size of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The number type.
    pub element: Element,
    /// Whether numbers are big-endian.
    pub big_endian: bool,
    /// The shape.
    pub shape: Vec<usize>,
    /// Where the numbers begin, in bytes.
    pub offset: u64,
}

/// Whether a file must hold all the numbers that its header promises.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Whole,
    Part,
}

/// Headers longer than this are refused.
const LONGEST_HEADER: usize = 64 << 10;

impl Header {
    /// Reads the header of a file.
    ///
    /// # Errors
    /// If the file is no array, holds objects, is in Fortran order, or is shorter than its header says.
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_for(path, Length::Whole)
    }

    fn read_for(path: &Path, wanted: Length) -> Result<Self> {
        let mut file = File::open(path).map_err(|e| Problem::os("open", path, &e))?;
        let size = file.metadata().map_err(|e| Problem::os("read", path, &e))?.len();
        Self::parse(&mut file, size, path, wanted)
    }

    /// Reads the header at the beginning of `size` bytes that were found in a file.
    ///
    /// # Errors
    /// As [`Header::read`].
    pub fn read_from(stream: &mut impl Read, size: u64, path: &Path) -> Result<Self> {
        Self::parse(stream, size, path, Length::Whole)
    }

    fn parse(stream: &mut impl Read, size: u64, path: &Path, wanted: Length) -> Result<Self> {
        let wrong = |what: &str| Problem::system(format!("{}: {what}", path.display()));
        let mut start = [0; 10];
        stream.read_exact(&mut start).map_err(|_| wrong("is too short to be an array"))?;
        if &start[..6] != b"\x93NUMPY" {
            return Err(wrong("is not an array in NumPy's format"));
        }
        let (length, begin) = match start[6] {
            1 => (usize::from(u16::from_le_bytes([start[8], start[9]])), 10),
            2 | 3 => {
                let mut rest = [0; 2];
                stream.read_exact(&mut rest).map_err(|_| wrong("is too short to be an array"))?;
                (u32::from_le_bytes([start[8], start[9], rest[0], rest[1]]) as usize, 12)
            }
            _ => return Err(wrong("is of a version of NumPy's format that is not known")),
        };
        if length > LONGEST_HEADER {
            return Err(wrong("has a header longer than any real one"));
        }
        let mut text = vec![0; length];
        stream.read_exact(&mut text).map_err(|_| wrong("ends within its header"))?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let (element, big_endian) = element(&text).ok_or_else(|| {
            let problem = wrong("holds numbers of a type that is not read here");
            problem.help("save it as float16, float32, float64, uint8 or int64, never as objects")
        })?;
        if !text.contains("'fortran_order': False") {
            return Err(wrong("is in Fortran order").help("save it with numpy.ascontiguousarray"));
        }
        let shape = shape(&text).ok_or_else(|| wrong("has a header without a shape"))?;
        let offset = (begin + length) as u64;
        let numbers = shape.iter().try_fold(1_u64, |n, d| n.checked_mul(*d as u64));
        let needed = numbers
            .and_then(|n| n.checked_mul(element.bytes() as u64))
            .and_then(|n| n.checked_add(offset));
        match needed {
            Some(needed) if needed <= size || wanted == Length::Part => {
                Ok(Self { element, big_endian, shape, offset })
            }
            _ => Err(wrong("is shorter than its header says")),
        }
    }

    /// Numbers in all.
    pub fn numbers(&self) -> usize {
        self.shape.iter().product()
    }

    /// The numbers in a stretch of the file's bytes.
    pub fn numbers_in<'b>(&self, bytes: &'b [u8]) -> impl Iterator<Item = f64> + use<'b> {
        let (element, big_endian) = (self.element, self.big_endian);
        bytes.chunks_exact(element.bytes()).map(move |chunk| number(chunk, element, big_endian))
    }
}

fn number(bytes: &[u8], element: Element, big_endian: bool) -> f64 {
    let mut raw = [0_u8; 8];
    let n = bytes.len();
    raw[..n].copy_from_slice(bytes);
    if big_endian {
        raw[..n].reverse();
    }
    let four = [raw[0], raw[1], raw[2], raw[3]];
    match element {
        Element::U8 => f64::from(raw[0]),
        Element::F16 => half::f16::from_le_bytes([raw[0], raw[1]]).to_f64(),
        Element::F32 => f64::from(f32::from_le_bytes(four)),
        Element::F64 => f64::from_le_bytes(raw),
        Element::I64 => i64::from_le_bytes(raw) as f64,
    }
}

/// The number type and byte order that a header names.
fn element(header: &str) -> Option<(Element, bool)> {
    let descr = header.split("'descr':").nth(1)?.trim_start().strip_prefix('\'')?;
    let descr = descr.split('\'').next()?;
    let element = match descr.get(1..)? {
        "f2" => Element::F16,
        "f4" => Element::F32,
        "f8" => Element::F64,
        "u1" => Element::U8,
        "i8" => Element::I64,
        _ => return None,
    };
    Some((element, descr.starts_with('>')))
}

fn shape(header: &str) -> Option<Vec<usize>> {
    let inner = header.split("'shape':").nth(1)?.split('(').nth(1)?.split(')').next()?;
    inner.split(',').map(str::trim).filter(|d| !d.is_empty()).map(|d| d.parse().ok()).collect()
}

/// Reads a whole array as 64-bit floats.
///
/// # Errors
/// As [`Header::read`], or if reading fails.
pub fn read_f64(path: &Path) -> Result<Array<f64>> {
    let header = Header::read(path)?;
    let data = read_numbers(path, &header, 0, header.numbers())?;
    Ok(Array { shape: header.shape, data })
}

/// Reads a whole array as 32-bit floats.
///
/// # Errors
/// As [`Header::read`], or if reading fails.
pub fn read_f32(path: &Path) -> Result<Array<f32>> {
    let array = read_f64(path)?;
    Ok(Array { shape: array.shape, data: array.data.into_iter().map(|x| x as f32).collect() })
}

/// Reads `count` numbers from number `first` on.
///
/// # Errors
/// If reading fails.
pub fn read_numbers(path: &Path, header: &Header, first: usize, count: usize) -> Result<Vec<f64>> {
    let fail = |e: std::io::Error| Problem::os("read", path, &e);
    let mut file = File::open(path).map_err(fail)?;
    let width = header.element.bytes();
    file.seek(SeekFrom::Start(header.offset + (first * width) as u64)).map_err(fail)?;
    let mut out = Vec::with_capacity(count);
    let mut buffer = vec![0; width * count.clamp(1, 1 << 16)];
    while out.len() < count {
        let now = (count - out.len()).min(buffer.len() / width);
        let bytes = &mut buffer[..now * width];
        file.read_exact(bytes).map_err(fail)?;
        out.extend(header.numbers_in(bytes));
    }
    Ok(out)
}

/// An array that stays on disk and is mapped into memory.
#[derive(Debug)]
pub struct Mapped {
    /// What its header says.
    pub header: Header,
    map: memmap2::Mmap,
}

impl Mapped {
    /// Maps an array.
    ///
    /// # Errors
    /// As [`Header::read`], or if the system cannot map the file.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_for(path, Length::Whole)
    }

    /// Maps an array that is still being written.
    ///
    /// # Errors
    /// As [`Mapped::open`], but it may be shorter than its header says.
    pub fn open_part(path: &Path) -> Result<Self> {
        Self::open_for(path, Length::Part)
    }

    fn open_for(path: &Path, wanted: Length) -> Result<Self> {
        let header = Header::read_for(path, wanted)?;
        let fail = |e: std::io::Error| Problem::os("map", path, &e);
        let file = File::open(path).map_err(fail)?;
        #[expect(
            unsafe_code,
            reason = "a file that is cut short while it is mapped ends the worker by a signal, which the coordinator reports; its bytes are only ever read as numbers"
        )]
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(fail)?;
        let whole = header.offset + (header.numbers() * header.element.bytes()) as u64;
        if wanted == Length::Whole && (map.len() as u64) < whole {
            return Err(Problem::system(format!("{} was cut short meanwhile", path.display())));
        }
        Ok(Self { header, map })
    }

    /// The `count` numbers from number `first` on.
    ///
    /// # Panics
    /// If the array has fewer.
    pub fn numbers(&self, first: usize, count: usize) -> impl Iterator<Item = f64> + '_ {
        let width = self.header.element.bytes();
        let from = self.header.offset as usize + first * width;
        self.header.numbers_in(&self.map[from..from + count * width])
    }
}

/// The bytes of a header, padded to 64 as NumPy does.
fn header_bytes(descr: &str, shape: &[usize]) -> Vec<u8> {
    let dims: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let dims = if dims.len() == 1 { format!("{},", dims[0]) } else { dims.join(", ") };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({dims}), }}");
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    text += &" ".repeat(length - text.len() - 1);
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// Writes a whole array of 64-bit floats.
///
/// # Errors
/// If writing fails.
pub fn write_f64(path: &Path, shape: &[usize], data: &[f64]) -> Result<()> {
    let mut bytes = header_bytes("<f8", shape);
    bytes.extend(data.iter().flat_map(|x| x.to_le_bytes()));
    std::fs::write(path, bytes).map_err(|e| Problem::os("write", path, &e))
}

/// Writes a whole array of bytes.
///
/// # Errors
/// If writing fails.
pub fn write_u8(path: &Path, shape: &[usize], data: &[u8]) -> Result<()> {
    let mut bytes = header_bytes("|u1", shape);
    bytes.extend(data);
    std::fs::write(path, bytes).map_err(|e| Problem::os("write", path, &e))
}

/// Writes a whole array of 64-bit whole numbers.
///
/// # Errors
/// If writing fails.
pub fn write_i64(path: &Path, shape: &[usize], data: &[i64]) -> Result<()> {
    let mut bytes = header_bytes("<i8", shape);
    bytes.extend(data.iter().flat_map(|x| x.to_le_bytes()));
    std::fs::write(path, bytes).map_err(|e| Problem::os("write", path, &e))
}

/// An array of 32-bit floats, or of bytes, that grows item by item along its first axis, and can go on
/// after a crash at a known item.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    item: usize,
    /// Of all that is written so far.
    hasher: blake3::Hasher,
}

impl Writer {
    /// Opens `path` for an array of `shape`; of what is there, the first `keep` items stay.
    ///
    /// # Errors
    /// If the file cannot be opened, or holds less than `keep` items of another array.
    pub fn open(path: &Path, shape: &[usize], keep: usize) -> Result<Self> {
        Self::open_for(path, shape, keep, ("<f4", 4))
    }

    /// The same for an array of bytes.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn open_bytes(path: &Path, shape: &[usize], keep: usize) -> Result<Self> {
        Self::open_for(path, shape, keep, ("|u1", 1))
    }

    fn open_for(
        path: &Path,
        shape: &[usize],
        keep: usize,
        (descr, width): (&str, usize),
    ) -> Result<Self> {
        let fail = |e: std::io::Error| Problem::os("write", path, &e);
        let item: usize = shape.iter().skip(1).product();
        let header = header_bytes(descr, shape);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(fail)?;
        let length = (header.len() + keep * item * width) as u64;
        let known = file.metadata().map_err(fail)?.len();
        if keep == 0 {
            file.set_len(0).map_err(fail)?;
            file.write_all(&header).map_err(fail)?;
        } else if known < length {
            return Err(Problem::system(format!(
                "{} holds fewer than {keep} items",
                path.display()
            )));
        }
        file.set_len(length).map_err(fail)?;
        file.seek(SeekFrom::Start(0)).map_err(fail)?;
        let mut hasher = blake3::Hasher::new();
        std::io::copy(&mut file, &mut hasher).map_err(fail)?;
        Ok(Self { path: path.to_owned(), file, item, hasher })
    }

    /// The BLAKE3 digest of all that is written so far, in hex.
    pub fn digest(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }

    /// Adds whole items.
    ///
    /// # Errors
    /// If writing fails.
    ///
    /// # Panics
    /// If `items` is not a whole number of items.
    pub fn push(&mut self, items: &[f32]) -> Result<()> {
        assert!(self.item > 0 && items.len().is_multiple_of(self.item), "whole items are written");
        let bytes: Vec<u8> = items.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.write(&bytes)
    }

    /// Adds whole items of an array of bytes.
    ///
    /// # Errors
    /// If writing fails.
    ///
    /// # Panics
    /// If `items` is not a whole number of items.
    pub fn push_bytes(&mut self, items: &[u8]) -> Result<()> {
        assert!(self.item > 0 && items.len().is_multiple_of(self.item), "whole items are written");
        self.write(items)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(|e| Problem::os("write", &self.path, &e))
    }

    /// Makes what was written survive a loss of power.
    ///
    /// # Errors
    /// If the system cannot.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|e| Problem::os("sync", &self.path, &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn an_array_comes_back_as_it_was_written() {
        let (_keep, path) = file(b"");
        write_f64(&path, &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, f64::MIN_POSITIVE]).unwrap();
        let back = read_f64(&path).unwrap();
        assert_eq!((back.shape, back.data[5]), (vec![2, 3], f64::MIN_POSITIVE));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 128 + 48);
    }

    #[test]
    fn a_writer_goes_on_after_whole_items() {
        let (_keep, path) = file(b"");
        let mut writer = Writer::open(&path, &[3, 2], 0).unwrap();
        writer.push(&[1.0, 2.0, 9.0, 9.0]).unwrap();
        drop(writer);
        let mut writer = Writer::open(&path, &[3, 2], 1).unwrap();
        writer.push(&[3.0, 4.0, 5.0, 6.0]).unwrap();
        let whole = blake3::hash(&std::fs::read(&path).unwrap());
        assert_eq!(writer.digest(), whole.to_hex().as_str());
        assert_eq!(read_f32(&path).unwrap().data, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn every_number_type_and_byte_order_is_read_and_mapped() {
        let cases: [(&str, &[u8]); 7] = [
            ("<f2", &[0x00, 0x3c, 0x00, 0xc0]),
            (">f2", &[0x3c, 0x00, 0xc0, 0x00]),
            ("<f4", &[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]),
            (">f4", &[0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0]),
            (">f8", &[0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0]),
            ("<i8", &[1, 0, 0, 0, 0, 0, 0, 0, 0xfe, 255, 255, 255, 255, 255, 255, 255]),
            ("|u1", &[1, 254]),
        ];
        for (descr, numbers) in cases {
            let bytes = [header_bytes(descr, &[2]), numbers.to_vec()].concat();
            let (_keep, path) = file(&bytes);
            let want = if descr == "|u1" { vec![1.0, 254.0] } else { vec![1.0, -2.0] };
            assert_eq!(read_f64(&path).unwrap().data, want, "{descr}");
            assert_eq!(Mapped::open(&path).unwrap().numbers(0, 2).collect::<Vec<_>>(), want);
        }
    }

    #[test]
    fn lying_and_dangerous_headers_are_refused() {
        let header = |descr: &str, order: &str, shape: &str| {
            let text =
                format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n");
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend((text.len() as u16).to_le_bytes());
            bytes.extend(text.as_bytes());
            bytes
        };
        let cases = [
            (header("'<f4'", "False", "(99999999, 99999999, 99999999)"), "shorter than its header"),
            (header("'<f4'", "False", "(4,)"), "shorter than its header"),
            (header("'|O'", "False", "(1,)"), "type that is not read"),
            (header("'<f4'", "True", "(0,)"), "Fortran order"),
            (header("'<f4'", "False", "None"), "without a shape"),
            (b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(), "longer than any"),
            (b"\x80\x04pickle....".to_vec(), "not an array"),
            (b"".to_vec(), "too short"),
        ];
        for (bytes, what) in cases {
            let (_keep, path) = file(&bytes);
            let problem = read_f64(&path).unwrap_err();
            assert!(problem.sentence.contains(what), "{problem} should say {what}");
        }
    }
}
