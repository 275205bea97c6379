//! CSV files as text: every value as it stands, with the line of every row.
//!
//! Values are those of polars' reader, which the reference uses; that one names no line in its errors, fills short
//! rows with nulls and lets stray quotes pass, all of which is refused here.

use std::collections::BTreeSet;

use super::Error;

/// A column of a CSV file: its name, then one value per row (`None` where empty).
pub type Column = (String, Vec<Option<String>>);

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

/// Why text is no CSV that is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Two bytes per character.
    #[error("UTF-16 text, expected UTF-8")]
    Utf16,
    /// Bytes of some other encoding.
    #[error("not UTF-8")]
    NotUtf8,
    /// Lines end as on old Macs.
    #[error("lines end with a carriage return alone, expected a line feed")]
    CarriageReturns,
    /// Another dialect.
    #[error("fields are separated by {0}, expected commas")]
    Separator(&'static str),
    /// A line for a spreadsheet program.
    #[error("`{0}` is a line for spreadsheets, expected the columns' names")]
    SeparatorLine(String),
    /// Nothing but blank lines.
    #[error("no header, expected the columns' names")]
    NoHeader,
    /// Which of them is meant, nobody can know.
    #[error("two columns have the name `{0}`")]
    TwoColumns(String),
    /// A row that is not as wide as the header.
    #[error("{found} {}, expected {expected}", if *found == 1 { "field" } else { "fields" })]
    FieldCount {
        /// Its fields.
        found: usize,
        /// Those of the header.
        expected: usize,
    },
    /// A quote that opens nothing.
    #[error("a quote inside the unquoted field `{0}`")]
    StrayQuote(String),
    /// A quote that nothing closes.
    #[error("a quote that is never closed")]
    OpenQuote,
    /// A field that goes on behind its quotes.
    #[error("text after a closing quote, expected a comma or the end of the line")]
    AfterQuote,
}

impl Malformed {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Utf16 | Self::NotUtf8 => {
                "save the file as UTF-8; spreadsheets call it `CSV UTF-8`"
            }
            Self::CarriageReturns => "save the file with the line ends of Unix or Windows",
            Self::Separator(_) => "save the file with commas between the fields",
            Self::SeparatorLine(_) => "remove that line",
            Self::NoHeader => "get the labels file again, it is empty",
            Self::TwoColumns(_) => "rename or remove one of them",
            Self::FieldCount { .. } => {
                "write one field per column; one that holds a comma stands in double quotes"
            }
            Self::StrayQuote(_) | Self::OpenQuote | Self::AfterQuote => {
                "a quoted field begins and ends with a double quote, and one within it is doubled"
            }
        }
    }
}

/// The fields of one row.
type Record = Vec<Option<String>>;

/// A mistake and its line.
type Found = (usize, Malformed);

impl Csv {
    /// Reads comma-separated UTF-8 text with a header line: the columns in order, by name, every value as text.
    ///
    /// Lines end with `\n` or `\r\n`. A field may stand in double quotes, in which commas and newlines are text and
    /// `""` is a quote. A field without text is `None`, one of empty quotes is the empty text. As pandas and polars
    /// do, a byte order mark and blank lines are passed over, and columns may have no name, as that of pandas' and
    /// R's row numbers; so are rows of empty fields, which spreadsheets leave. `file` serves in messages.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the line.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Error> {
        parse(bytes).map_err(|(line, malformed)| Error::Malformed {
            file: file.to_owned(),
            line,
            malformed,
        })
    }

    /// The cells of a column, if it is there.
    pub(in crate::newt) fn column(&self, name: &str) -> Option<&[Option<String>]> {
        self.columns
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, cells)| cells.as_slice())
    }
}

fn parse(bytes: &[u8]) -> Result<Csv, Found> {
    let text = decode(bytes)?;
    check_dialect(text)?;
    let mut records = Records {
        rest: text,
        line: 1,
    };
    let Some((header_line, names)) = records.next()? else {
        return Err((1, Malformed::NoHeader));
    };
    let mut seen = BTreeSet::new();
    let names: Vec<String> = names.into_iter().map(Option::unwrap_or_default).collect();
    if let Some(name) = names
        .iter()
        .find(|name| !name.is_empty() && !seen.insert(*name))
    {
        return Err((header_line, Malformed::TwoColumns(name.clone())));
    }
    let mut columns: Vec<Column> = names.into_iter().map(|name| (name, Vec::new())).collect();
    let mut lines = Vec::new();
    while let Some((line, fields)) = records.next()? {
        if fields.len() != columns.len() {
            let (found, expected) = (fields.len(), columns.len());
            return Err((line, Malformed::FieldCount { found, expected }));
        }
        for ((_, cells), field) in columns.iter_mut().zip(fields) {
            cells.push(field);
        }
        lines.push(line);
    }
    Ok(Csv {
        columns,
        header_line,
        lines,
    })
}

/// The text without a byte order mark.
fn decode(bytes: &[u8]) -> Result<&str, Found> {
    // Without a mark, one byte of the first ASCII character is zero.
    let begins_as_utf16 = matches!(
        bytes,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, ..] | [_, 0, ..]
    );
    if begins_as_utf16 {
        return Err((1, Malformed::Utf16));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        (line, Malformed::NotUtf8)
    })
}

/// Recognises by the first line that has text what would else end in a list of missing columns.
fn check_dialect(text: &str) -> Result<(), Found> {
    let Some((at, header)) = text
        .lines()
        .enumerate()
        .find(|(_, line)| !line.trim().is_empty())
    else {
        return Ok(());
    };
    let n = |separator: char| header.matches(separator).count();
    let found = [(';', "semicolons"), ('\t', "tabs"), ('|', "vertical bars")]
        .into_iter()
        .find(|(separator, _)| n(*separator) > n(','));
    let malformed = if header.to_ascii_lowercase().starts_with("sep=") {
        Malformed::SeparatorLine(header.to_owned())
    } else if header.contains('\r') && !text.contains('\n') {
        Malformed::CarriageReturns
    } else if let Some((_, name)) = found {
        Malformed::Separator(name)
    } else {
        return Ok(());
    };
    Err((at + 1, malformed))
}

/// The records that are left, and the line of the next.
struct Records<'a> {
    rest: &'a str,
    line: usize,
}

impl Records<'_> {
    /// The next record that is not blank, and its line.
    fn next(&mut self) -> Result<Option<(usize, Record)>, Found> {
        while !self.rest.is_empty() {
            let line = self.line;
            let fields = self.record()?;
            let is_blank = match fields.as_slice() {
                [Some(only)] => only.trim().is_empty(),
                fields => fields.iter().all(Option::is_none),
            };
            if !is_blank {
                return Ok(Some((line, fields)));
            }
        }
        Ok(None)
    }

    fn record(&mut self) -> Result<Record, Found> {
        let mut fields = Vec::new();
        loop {
            fields.push(self.field()?);
            if let Some(tail) = self.rest.strip_prefix(',') {
                self.rest = tail;
                continue;
            }
            if let Some(tail) = self.rest.strip_prefix('\n') {
                self.line += 1;
                self.rest = tail;
            }
            return Ok(fields);
        }
    }

    /// Takes a field; what is left begins with a comma or a line feed, or is empty.
    fn field(&mut self) -> Result<Option<String>, Found> {
        let line = self.line;
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
            let (field, tail) = self.rest.split_at(end);
            let is_last = !tail.starts_with(',');
            let field = field
                .strip_suffix('\r')
                .filter(|_| is_last)
                .unwrap_or(field);
            if field.contains('"') {
                return Err((line, Malformed::StrayQuote(field.to_owned())));
            }
            self.rest = tail;
            return Ok((!field.is_empty()).then(|| field.to_owned()));
        };
        let end = closing_quote(quoted).ok_or((line, Malformed::OpenQuote))?;
        let (field, tail) = (&quoted[..end], &quoted[end + 1..]);
        self.line += field.matches('\n').count();
        // A carriage return belongs to the end of the line, not to the field.
        let tail = tail
            .strip_prefix('\r')
            .filter(|tail| tail.is_empty() || tail.starts_with('\n'))
            .unwrap_or(tail);
        if !(tail.is_empty() || tail.starts_with([',', '\n'])) {
            return Err((self.line, Malformed::AfterQuote));
        }
        self.rest = tail;
        Ok(Some(field.replace("\"\"", "\"")))
    }
}

/// Where the quote is that closes a field whose text `quoted` begins with.
fn closing_quote(quoted: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let quote = from + quoted[from..].find('"')?;
        if !quoted[quote + 1..].starts_with('"') {
            return Some(quote);
        }
        from = quote + 2;
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<Column> {
        Csv::parse("f", text.as_bytes()).unwrap().columns
    }

    fn columns(columns: &[(&str, &[Option<&str>])]) -> Vec<Column> {
        columns
            .iter()
            .map(|(name, values)| {
                let values = values
                    .iter()
                    .map(|value| value.map(str::to_owned))
                    .collect();
                ((*name).to_owned(), values)
            })
            .collect()
    }

    #[test]
    fn every_value_is_text() {
        let text = "id,label,split\n0048e48e,1,train\n1e5,0,\nnan,true,2024-01-01\n";
        let expected = columns(&[
            ("id", &[Some("0048e48e"), Some("1e5"), Some("nan")]),
            ("label", &[Some("1"), Some("0"), Some("true")]),
            ("split", &[Some("train"), None, Some("2024-01-01")]),
        ]);
        assert_eq!(read(text), expected);
        assert_eq!(read(text.trim_end()), expected);
        assert_eq!(read(&text.replace('\n', "\r\n")), expected);
        assert_eq!(
            read(text.replace('\n', "\r\n").trim_end_matches('\n')),
            expected
        );
        assert_eq!(read(&format!("\u{feff}{text}")), expected);
    }

    #[test]
    fn quotes_keep_commas_newlines_and_quotes() {
        let text = "\"a,b\",c\n\"x, \"\"y\"\"\",\"1\n2\"\n\"\",é\n , \n";
        let expected = columns(&[
            ("a,b", &[Some("x, \"y\""), Some(""), Some(" ")]),
            ("c", &[Some("1\n2"), Some("é"), Some(" ")]),
        ]);
        assert_eq!(read(text), expected);
        let expected = columns(&[("a", &[Some("x")]), ("b", &[Some("y")])]);
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
        let expected = columns(&[
            ("a", &[Some("1"), Some("3")]),
            ("b", &[Some("x\ny"), Some("4")]),
        ]);
        assert_eq!(csv.columns, expected);
        assert_eq!((csv.header_line, csv.lines), (3, vec![5, 9]));
    }

    #[test]
    fn columns_without_a_name_are_kept() {
        let expected = columns(&[("", &[Some("0")]), ("a", &[Some("1")]), ("", &[None])]);
        assert_eq!(read(",a,\n0,1,\n"), expected);
        assert_eq!(read("\"\",\"a\",\"\"\n0,1,\n"), expected);
    }

    #[test]
    fn malformed_text_is_an_error_with_its_line() {
        let cases: [(&[u8], &str); 20] = [
            (b"", "f:1: no header, expected the columns' names"),
            (b"\n \n", "f:1: no header, expected the columns' names"),
            (b"a,b,a\n", "f:1: two columns have the name `a`"),
            (b"a,b\n1,2\n3\n", "f:3: 1 field, expected 2"),
            (b"a,b\n1,2\n3,4,5\n", "f:3: 3 fields, expected 2"),
            (b"a,b\n\"1\n\n\",2\n3\n", "f:5: 1 field, expected 2"),
            (b"a,b\n1,2\n3,\xff\n", "f:3: not UTF-8"),
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
                b"a,b\r1,2\r",
                "f:1: lines end with a carriage return alone, expected a line feed",
            ),
            (
                b"a,b\n1,2\n\"3,4\n5,6\n",
                "f:3: a quote that is never closed",
            ),
            (
                b"a,b\n1,2\"\n",
                "f:2: a quote inside the unquoted field `2\"`",
            ),
            (
                b"a,b\n1, \"2\"\n",
                "f:2: a quote inside the unquoted field ` \"2\"`",
            ),
            (
                b"a,b\n\"1\"x,2\n",
                "f:2: text after a closing quote, expected a comma or the end of the line",
            ),
            (
                b"a,b\n1,\"2\"\rx\n",
                "f:2: text after a closing quote, expected a comma or the end of the line",
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
            assert_eq!(id.as_deref(), Some(n.to_string().as_str()));
            assert_eq!(note.as_deref(), Some(format!("a, \"b\"\nc {n}").as_str()));
        }
        assert_eq!(read[0].1.len(), 36_000);
    }

    fn quote(value: &str) -> String {
        format!("\"{}\"", value.replace('"', "\"\""))
    }

    proptest! {
        #[test]
        fn quoted_values_round_trip(rows in proptest::collection::vec(("[a,\"\n é]{0,6}", "[a,\"\n é]{0,6}"), 0..20)) {
            let mut text = "x,y\n".to_owned();
            for (x, y) in &rows {
                writeln!(text, "{},{}", quote(x), quote(y)).unwrap();
            }
            for (column, values) in read(&text).iter().zip([
                rows.iter().map(|row| &row.0).collect::<Vec<_>>(),
                rows.iter().map(|row| &row.1).collect(),
            ]) {
                let found: Vec<&str> = column.1.iter().map(|value| value.as_deref().unwrap_or("(null)")).collect();
                prop_assert_eq!(found, values);
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
