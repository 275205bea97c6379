//! Where the values of a pipeline file were written.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where a value was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A line of the file, from 1.
    Line(usize),
    /// A `--set`.
    Override,
}

/// The lines of a text, to be asked for by offset in bytes.
pub struct Lines {
    /// Where each line but the first begins.
    starts: Vec<usize>,
}

impl Lines {
    pub fn new(text: &str) -> Self {
        let starts = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        Self { starts }
    }

    /// The line, from 1, that holds the byte at `offset`.
    pub fn at(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset) + 1
    }

    /// The line of every key of `table` and of the tables in it, by dotted path.
    pub fn of_keys(&self, table: &DeTable<'_>) -> BTreeMap<String, Origin> {
        let mut origins = BTreeMap::new();
        self.record_table("", table, &mut origins);
        origins
    }

    fn record_table(
        &self,
        path: &str,
        table: &DeTable<'_>,
        origins: &mut BTreeMap<String, Origin>,
    ) {
        for (key, value) in table {
            let path = join(path, key.get_ref());
            origins.insert(path.clone(), Origin::Line(self.at(key.span().start)));
            self.record_value(&path, value, origins);
        }
    }

    fn record_value(
        &self,
        path: &str,
        value: &Spanned<DeValue<'_>>,
        origins: &mut BTreeMap<String, Origin>,
    ) {
        match value.get_ref() {
            DeValue::Table(table) => self.record_table(path, table, origins),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.record_value(&format!("{path}[{index}]"), item, origins);
                }
            }
            _ => {}
        }
    }
}

/// The dotted path of `key` in the table at `path`.
pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_lies_in_the_line_whose_end_comes_next() {
        let lines = Lines::new("a\n\nbc\n");
        let found: Vec<usize> = (0..7).map(|offset| lines.at(offset)).collect();
        assert_eq!(found, [1, 1, 2, 3, 3, 3, 4]);
    }
}
