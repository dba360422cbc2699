use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

/// A borderless table; columns named in `numbers` are right-aligned.
pub fn table<const N: usize>(
    header: [&str; N],
    numbers: &[usize],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    dynamic_table(&header, numbers, rows.into_iter().map(Vec::from))
}

/// As [`table`], where how many columns there are shows only when it runs.
pub fn dynamic_table(header: &[&str], numbers: &[usize], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    // A line too long for the terminal is the terminal's to wrap: cells broken over lines cannot be read or copied.
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if header.iter().any(|title| !title.is_empty()) {
        table.set_header(header.to_vec());
    }
    for row in rows {
        table.add_row(row);
    }
    for number in numbers {
        if let Some(column) = table.column_mut(*number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    // The cells' own padding puts one blank before every line.
    let lines = table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// Two blanks before every line.
pub fn indent(text: &str) -> String {
    let lines = text.lines().map(|line| if line.is_empty() { String::new() } else { format!("  {line}") });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_stand_to_the_right() {
        let rows = [["a".to_owned(), "1".to_owned()], ["long name".to_owned(), "1,000".to_owned()]];
        assert_eq!(table(["name", "rows"], &[1], rows.clone()), "name        rows\na              1\nlong name  1,000");
        assert_eq!(indent(&table(["", ""], &[1], rows)), "  a              1\n  long name  1,000");
    }
}
