//! CSV files as text: the structure is checked here, the values are those of polars' reader.
//!
//! polars' reader, which the reference uses as well, names no line in its errors, fills short rows with nulls and
//! lets stray quotes pass. So a scan comes first that only counts fields and watches quotes.

use std::collections::BTreeSet;
use std::io::Cursor;

use polars::prelude::{CsvReadOptions, SerReader};

use super::Error;

/// The columns of a CSV file, in order: name and values.
pub type TextColumns = Vec<(String, Vec<Option<String>>)>;

/// Reads comma-separated UTF-8 text with a header line: the columns in order, by name, every value as text.
///
/// Lines end with `\n` or `\r\n`. A field may stand in double quotes, in which commas and newlines are text and `""`
/// is a quote. A field without text is `None`, one of empty quotes is the empty text. `file` serves in messages.
///
/// # Errors
/// [`Error::Csv`] with the line: no header, a column without a name or with another's, invalid UTF-8, another number
/// of fields than in the header, a quote inside an unquoted field, text after a closing quote, a quote that is never
/// closed. [`Error::CsvContent`] with polars' message for anything else.
pub fn csv_strings(file: &str, bytes: &[u8]) -> Result<TextColumns, Error> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let n_rows = check(bytes).map_err(|(line, what)| Error::Csv {
        file: file.to_owned(),
        line,
        what,
    })?;
    let content = |what: String| Error::CsvContent {
        file: file.to_owned(),
        what,
    };
    let frame = CsvReadOptions::default()
        .with_has_header(true)
        // Every column is text; nothing is guessed from the values.
        .with_infer_schema_length(Some(0))
        .into_reader_with_file_handle(Cursor::new(bytes))
        .finish()
        .map_err(|error| content(error.to_string()))?;
    if frame.height() != n_rows {
        return Err(content(format!(
            "{} rows read, {n_rows} found by counting",
            frame.height()
        )));
    }
    let mut columns = Vec::with_capacity(frame.width());
    for column in frame.columns() {
        let texts = column.str().map_err(|error| content(error.to_string()))?;
        let texts = texts.iter().map(|text| text.map(str::to_owned)).collect();
        columns.push((column.name().to_string(), texts));
    }
    Ok(columns)
}

/// The number of rows below the header; or the line of the first mistake, and what it is.
fn check(bytes: &[u8]) -> Result<usize, (usize, String)> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + count_newlines(&bytes[..error.valid_up_to()]);
        (line, "not UTF-8".to_owned())
    })?;
    let mut rest = text;
    let mut line = 1;
    let names = record(&mut rest, &mut line)?;
    if names == [""] {
        return Err((1, "no header, expected the columns' names".to_owned()));
    }
    let mut seen = BTreeSet::new();
    for name in &names {
        if name.is_empty() {
            return Err((1, "a column has no name".to_owned()));
        }
        if !seen.insert(*name) {
            return Err((1, format!("two columns have the name `{name}`")));
        }
    }
    let mut n_rows = 0;
    while !rest.is_empty() {
        let first_line = line;
        let fields = record(&mut rest, &mut line)?;
        if fields.len() != names.len() {
            let found = match fields.len() {
                1 => "1 field".to_owned(),
                n => format!("{n} fields"),
            };
            return Err((first_line, format!("{found}, expected {}", names.len())));
        }
        n_rows += 1;
    }
    Ok(n_rows)
}

/// Takes the fields of one record, quotes included, from the front of `rest`; `line` is moved behind it.
fn record<'a>(rest: &mut &'a str, line: &mut usize) -> Result<Vec<&'a str>, (usize, String)> {
    let mut fields = Vec::new();
    loop {
        let end = if rest.starts_with('"') {
            quoted_end(rest).ok_or((*line, "a quote that is never closed".to_owned()))?
        } else {
            rest.find([',', '\n']).unwrap_or(rest.len())
        };
        let (mut field, tail) = rest.split_at(end);
        let end_line = *line + count_newlines(field.as_bytes());
        let tail = if field.starts_with('"') {
            // A carriage return belongs to the end of the line, not to the field.
            tail.strip_prefix('\r')
                .filter(|tail| tail.starts_with('\n'))
                .unwrap_or(tail)
        } else {
            if tail.starts_with('\n') {
                field = field.strip_suffix('\r').unwrap_or(field);
            }
            if field.contains('"') {
                return Err((
                    *line,
                    format!("a quote inside the unquoted field `{field}`"),
                ));
            }
            tail
        };
        *line = end_line;
        fields.push(field);
        if let Some(tail) = tail.strip_prefix(',') {
            *rest = tail;
            continue;
        }
        if let Some(tail) = tail.strip_prefix('\n') {
            *line += 1;
            *rest = tail;
        } else if tail.is_empty() {
            *rest = tail;
        } else {
            return Err((
                *line,
                "text after a closing quote, expected a comma or the end of the line".to_owned(),
            ));
        }
        return Ok(fields);
    }
}

/// Where the quoted field at the front of `text` ends, behind its closing quote.
fn quoted_end(text: &str) -> Option<usize> {
    let mut from = 1;
    loop {
        let quote = from + text[from..].find('"')?;
        if !text[quote + 1..].starts_with('"') {
            return Some(quote + 1);
        }
        from = quote + 2;
    }
}

fn count_newlines(bytes: &[u8]) -> usize {
    bytes.split(|&byte| byte == b'\n').count() - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write;

    fn columns(columns: &[(&str, &[Option<&str>])]) -> TextColumns {
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
        assert_eq!(csv_strings("f", text.as_bytes()).unwrap(), expected);
        assert_eq!(
            csv_strings("f", text.trim_end().as_bytes()).unwrap(),
            expected
        );
        let crlf = text.replace('\n', "\r\n");
        assert_eq!(csv_strings("f", crlf.as_bytes()).unwrap(), expected);
        let marked = format!("\u{feff}{text}");
        assert_eq!(csv_strings("f", marked.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn quotes_keep_commas_newlines_and_quotes() {
        let text = "\"a,b\",c\n\"x, \"\"y\"\"\",\"1\n2\"\n\"\",é\n , \n";
        let expected = columns(&[
            ("a,b", &[Some("x, \"y\""), Some(""), Some(" ")]),
            ("c", &[Some("1\n2"), Some("é"), Some(" ")]),
        ]);
        assert_eq!(csv_strings("f", text.as_bytes()).unwrap(), expected);
        let crlf = "a,b\r\n\"x\",\"y\"\r\n";
        let expected = columns(&[("a", &[Some("x")]), ("b", &[Some("y")])]);
        assert_eq!(csv_strings("f", crlf.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn header_alone_has_no_rows() {
        let expected = columns(&[("a", &[]), ("b", &[])]);
        assert_eq!(csv_strings("f", b"a,b").unwrap(), expected);
        assert_eq!(csv_strings("f", b"a,b\n").unwrap(), expected);
    }

    #[test]
    fn malformed_text_is_an_error_with_its_line() {
        let cases: [(&[u8], &str); 14] = [
            (b"", "f:1: no header, expected the columns' names"),
            (b"\n1\n", "f:1: no header, expected the columns' names"),
            (b"a,,b\n", "f:1: a column has no name"),
            (b"a,b,a\n", "f:1: two columns have the name `a`"),
            (b"a,b\n1,2\n3\n", "f:3: 1 field, expected 2"),
            (b"a,b\n1,2\n3,4,5\n", "f:3: 3 fields, expected 2"),
            (b"a,b\n1,2\n\n", "f:3: 1 field, expected 2"),
            (b"a,b\n\"1\n\n\",2\n3\n", "f:5: 1 field, expected 2"),
            (b"a,b\n1,2\n3,\xff\n", "f:3: not UTF-8"),
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
            let error = csv_strings("f", bytes).unwrap_err();
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
        let read = csv_strings("f", text.as_bytes()).unwrap();
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
            let read = csv_strings("f", text.as_bytes()).unwrap();
            for (column, values) in read.iter().zip([
                rows.iter().map(|row| &row.0).collect::<Vec<_>>(),
                rows.iter().map(|row| &row.1).collect(),
            ]) {
                let found: Vec<&str> = column.1.iter().map(|value| value.as_deref().unwrap_or("(null)")).collect();
                prop_assert_eq!(found, values);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[ab,\"\n\r é]{0,40}") {
            let text = format!("x,y\n{text}");
            let _ = csv_strings("f", text.as_bytes());
        }
    }
}
