//! CSV files as text: every value as it stands, with the line of every row.
//!
//! The crate `csv` reads the fields. What it lets pass is refused here where rows or columns would go amiss: short
//! rows, quotes without a partner, columns of one name, and dialects, by their names.

use std::collections::BTreeSet;

use ::csv::{ReaderBuilder, StringRecord};

use super::{Error, Problem};
use crate::text::{count, foreign};

/// A column of a CSV file: its name, then one value per row.
pub type Column = (String, Vec<String>);

/// A CSV file, cell by cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csv {
    /// The columns in order, each with as many values as there are [`lines`](Self::lines).
    pub columns: Vec<Column>,
    /// The line of the header, from 1.
    pub header_line: usize,
    /// The line on which each row begins.
    pub lines: Vec<usize>,
}

impl Csv {
    /// Reads comma-separated UTF-8 text with a header line: the columns in order, by name, every value as text.
    ///
    /// A field may stand in double quotes, in which commas and newlines are text and `""` is a quote. As pandas and
    /// polars do, a byte order mark and blank lines are passed over, and columns may have no name, as that of pandas'
    /// and R's row numbers; so are rows of empty fields, which spreadsheets leave. `file` serves in messages.
    ///
    /// # Errors
    /// The first thing in the text that is no such CSV, with its line.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Error> {
        parse(bytes).map_err(|problem| Error::of_file(file, problem))
    }

    /// The cells of a column, if it is there.
    pub fn column(&self, name: &str) -> Option<&[String]> {
        self.columns
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, cells)| cells.as_slice())
    }
}

fn parse(bytes: &[u8]) -> Result<Csv, Problem> {
    let text = decode(bytes)?;
    check_dialect(&text)?;
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut csv = Csv {
        columns: Vec::new(),
        header_line: 1,
        lines: Vec::new(),
    };
    let (mut record, mut rest, mut next_line) = (StringRecord::new(), text.as_str(), 1);
    while reader
        .read_record(&mut record)
        // The one error there is, of a reader that takes rows of any width.
        .map_err(|_| not_utf8(next_line))?
    {
        let end = usize::try_from(reader.position().byte()).unwrap_or(text.len());
        let (read, behind) = rest.split_at(end - (text.len() - rest.len()));
        // The reader passes over empty lines, and counts them to the row.
        let row = read.trim_start_matches('\n');
        let line = next_line + read.len() - row.len();
        next_line = line + row.matches('\n').count();
        rest = behind;
        if row.matches('"').count() % 2 == 1 {
            return Err(Problem::new(
                line,
                "a double quote without its partner",
                "a quoted field begins and ends with a double quote, and one within it is doubled",
            ));
        }
        if record.iter().all(|field| field.trim().is_empty()) {
            continue;
        }
        if csv.columns.is_empty() {
            csv.header_line = line;
            csv.columns = record
                .iter()
                .map(|name| (name.to_owned(), Vec::new()))
                .collect();
            continue;
        }
        let (found, expected) = (record.len(), csv.columns.len());
        if found != expected {
            return Err(Problem::new(
                line,
                format!("{}, expected {expected}", count(found, "field", "fields")),
                "write one field per column; one that holds a comma stands in double quotes",
            ));
        }
        for ((_, cells), field) in csv.columns.iter_mut().zip(&record) {
            cells.push(field.to_owned());
        }
        csv.lines.push(line);
    }
    let mut seen = BTreeSet::new();
    let mut names = csv.columns.iter().map(|(name, _)| name);
    if csv.columns.is_empty() {
        Err(Problem::new(
            1,
            "no header, expected the columns' names",
            "get the labels file again, it is empty",
        ))
    } else if let Some(name) = names.find(|name| !name.is_empty() && !seen.insert(*name)) {
        Err(Problem::new(
            csv.header_line,
            format!("two columns have the name `{}`", foreign(name)),
            "rename or remove one of them",
        ))
    } else {
        Ok(csv)
    }
}

fn not_utf8(line: usize) -> Problem {
    Problem::new(line, "not UTF-8", SAVE_AS_UTF8)
}

const SAVE_AS_UTF8: &str = "save the file as UTF-8; spreadsheets call it `CSV UTF-8`";

/// The text without a byte order mark; every line ends with a line feed, whatever ended it.
fn decode(bytes: &[u8]) -> Result<String, Problem> {
    let packed = match bytes {
        [0x1f, 0x8b, ..] => Some("a gzip archive"),
        [b'P', b'K', 3, 4, ..] => Some("a zip archive, or a spreadsheet"),
        _ => None,
    };
    if let Some(found) = packed {
        return Err(Problem::new(
            1,
            format!("{found}, expected CSV text"),
            "unpack an archive; save a spreadsheet as CSV, which is called `CSV UTF-8` there",
        ));
    }
    // Without a mark, one byte of the first ASCII character is zero.
    let begins_as_utf16 = matches!(
        bytes,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, ..] | [_, 0, ..]
    );
    if begins_as_utf16 {
        return Err(Problem::new(1, "UTF-16 text, expected UTF-8", SAVE_AS_UTF8));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.replace("\r\n", "\n").replace('\r', "\n")),
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            Err(not_utf8(before.split(|byte| *byte == b'\n').count()))
        }
    }
}

/// Recognises by the first line that has text what would else end in a list of missing columns.
fn check_dialect(text: &str) -> Result<(), Problem> {
    let Some((at, header)) = text
        .lines()
        .enumerate()
        .find(|(_, line)| !line.trim().is_empty())
    else {
        return Ok(());
    };
    if header.to_ascii_lowercase().starts_with("sep=") {
        return Err(Problem::new(
            at + 1,
            format!(
                "`{}` is a line for spreadsheets, expected the columns' names",
                foreign(header)
            ),
            "remove that line",
        ));
    }
    let n = |separator: char| header.matches(separator).count();
    let others = [(';', "semicolons"), ('\t', "tabs"), ('|', "vertical bars")];
    match others.iter().find(|(separator, _)| n(*separator) > n(',')) {
        None => Ok(()),
        Some((_, name)) => Err(Problem::new(
            at + 1,
            format!("fields are separated by {name}, expected commas"),
            "save the file with commas between the fields",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::error::Failure;

    fn read(text: &str) -> Vec<Column> {
        Csv::parse("f", text.as_bytes()).unwrap().columns
    }

    fn columns(columns: &[(&str, &[&str])]) -> Vec<Column> {
        columns
            .iter()
            .map(|(name, values)| {
                let values = values.iter().map(|value| (*value).to_owned()).collect();
                ((*name).to_owned(), values)
            })
            .collect()
    }

    #[test]
    fn every_value_is_text() {
        let text = "id,label,split\n0048e48e,1,train\n1e5,0,\nnan,true,2024-01-01\n";
        let expected = columns(&[
            ("id", &["0048e48e", "1e5", "nan"]),
            ("label", &["1", "0", "true"]),
            ("split", &["train", "", "2024-01-01"]),
        ]);
        assert_eq!(read(text), expected);
        assert_eq!(read(text.trim_end()), expected);
        assert_eq!(read(&text.replace('\n', "\r\n")), expected);
        assert_eq!(read(&text.replace('\n', "\r")), expected);
        assert_eq!(
            read(text.replace('\n', "\r\n").trim_end_matches('\n')),
            expected
        );
        assert_eq!(read(&format!("\u{feff}{text}")), expected);
    }

    #[test]
    fn quotes_keep_commas_newlines_and_quotes() {
        let text = "\"a,b\",c\n\"x, \"\"y\"\"\",\"1\n2\"\n\"\",é\n";
        let expected = columns(&[("a,b", &["x, \"y\"", ""]), ("c", &["1\n2", "é"])]);
        assert_eq!(read(text), expected);
        let expected = columns(&[("a", &["x"]), ("b", &["y"])]);
        assert_eq!(read("a,b\r\n\"x\",\"y\"\r\n"), expected);
    }

    #[test]
    fn header_alone_has_no_rows() {
        let expected = columns(&[("a", &[]), ("b", &[])]);
        assert_eq!(read("a,b"), expected);
        assert_eq!(read("a,b\n"), expected);
    }

    #[test]
    fn blank_lines_and_rows_of_empty_fields_are_passed_over_and_counted() {
        let csv = Csv::parse("f", b"\n\r\na,b\n\n1,\"x\ny\"\n \t\n,\n3,4\n,,,\n\n").unwrap();
        let expected = columns(&[("a", &["1", "3"]), ("b", &["x\ny", "4"])]);
        assert_eq!(csv.columns, expected);
        assert_eq!((csv.header_line, csv.lines), (3, vec![5, 9]));
    }

    #[test]
    fn columns_without_a_name_are_kept() {
        let expected = columns(&[("", &["0"]), ("a", &["1"]), ("", &[""])]);
        assert_eq!(read(",a,\n0,1,\n"), expected);
        assert_eq!(read("\"\",\"a\",\"\"\n0,1,\n"), expected);
    }

    #[test]
    fn malformed_text_is_an_error_with_its_line() {
        let cases: [(&[u8], &str); 19] = [
            (b"", "f:1: no header, expected the columns' names"),
            (b"\n \n", "f:1: no header, expected the columns' names"),
            (b"a,b,a\n", "f:1: two columns have the name `a`"),
            (b"a,b\n1,2\n3\n", "f:3: 1 field, expected 2"),
            (b"a,b\n1,2\n3,4,5\n", "f:3: 3 fields, expected 2"),
            (b"a,b\n\"1\n\n\",2\n3\n", "f:5: 1 field, expected 2"),
            (b"a,b\n1,2\n3,\xff\n", "f:3: not UTF-8"),
            (b"\x1f\x8b\x08\0", "f:1: a gzip archive, expected CSV text"),
            (
                b"PK\x03\x04",
                "f:1: a zip archive, or a spreadsheet, expected CSV text",
            ),
            (b"\xff\xfea\0,\0b\0", "f:1: UTF-16 text, expected UTF-8"),
            (b"\xfe\xff\0a\0,\0b", "f:1: UTF-16 text, expected UTF-8"),
            (b"a\0,\0b\0", "f:1: UTF-16 text, expected UTF-8"),
            (
                b"a;b\n1;2\n",
                "f:1: fields are separated by semicolons, expected commas",
            ),
            (
                b"\na\tb\n1\t2\n",
                "f:2: fields are separated by tabs, expected commas",
            ),
            (
                b"a|b\n1|2\n",
                "f:1: fields are separated by vertical bars, expected commas",
            ),
            (
                b"sep=;\na;b\n",
                "f:1: `sep=;` is a line for spreadsheets, expected the columns' names",
            ),
            (
                b"a,b\n1,2\n\"3,4\n5,6\n",
                "f:3: a double quote without its partner",
            ),
            (b"a,b\n1,2\"\n", "f:2: a double quote without its partner"),
            (
                b"a,b\n\n\"1\"x\",2\n",
                "f:3: a double quote without its partner",
            ),
        ];
        for (bytes, expected) in cases {
            let error = Csv::parse("f", bytes).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn file_of_many_rows_keeps_their_order() {
        let mut text = "id,note\n".to_owned();
        for n in 0..36_000 {
            write!(text, "{n},\"a, \"\"b\"\"\nc {n}\"\n").unwrap();
        }
        let read = read(&text);
        for (n, (id, note)) in read[0].1.iter().zip(&read[1].1).enumerate() {
            assert_eq!(*id, n.to_string());
            assert_eq!(*note, format!("a, \"b\"\nc {n}"));
        }
        assert_eq!(read[0].1.len(), 36_000);
    }

    fn quote(value: &str) -> String {
        format!("\"{}\"", value.replace('"', "\"\""))
    }

    proptest! {
        #[test]
        fn quoted_values_round_trip(rows in proptest::collection::vec(("a[a,\"\n é]{0,6}", "[a,\"\n é]{0,6}"), 0..20)) {
            let mut text = "x,y\n".to_owned();
            for (x, y) in &rows {
                writeln!(text, "{},{}", quote(x), quote(y)).unwrap();
            }
            for (column, values) in read(&text).iter().zip([
                rows.iter().map(|row| &row.0).collect::<Vec<_>>(),
                rows.iter().map(|row| &row.1).collect(),
            ]) {
                prop_assert_eq!(column.1.iter().collect::<Vec<_>>(), values);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[ab,\"\n\r é]{0,40}") {
            if let Ok(csv) = Csv::parse("f", text.as_bytes()) {
                prop_assert!(csv.columns.iter().all(|(_, cells)| cells.len() == csv.lines.len()));
            }
        }
    }
}
