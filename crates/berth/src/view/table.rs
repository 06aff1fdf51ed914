//! Columns, as Go's tabwriter lays them out for Docker: at least 10 wide, 3 apart.

/// The least width of a column, its gap included.
const MIN_WIDTH: usize = 10;
/// Spaces after the widest cell.
const GAP: usize = 3;

/// Lays out lines whose cells are separated by tabs. The last cell of a line is not padded.
pub(crate) fn align(lines: &[String]) -> String {
    let rows: Vec<Vec<&str>> = lines
        .iter()
        .map(|line| line.split('\t').collect())
        .collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows
                .iter()
                .filter(|row| column + 1 < row.len())
                .filter_map(|row| row.get(column));
            let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            (widest + GAP).max(MIN_WIDTH)
        })
        .collect();
    let mut text = String::new();
    for row in &rows {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < row.len() {
                let width = widths.get(column).copied().unwrap_or(MIN_WIDTH);
                let missing = width.saturating_sub(cell.chars().count());
                text.extend(std::iter::repeat_n(' ', missing));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let lines = [
            "ID\tNAMES\tX".to_owned(),
            "1\ta_very_long_name\ty".to_owned(),
        ];
        assert_eq!(
            align(&lines),
            "ID        NAMES              X\n1         a_very_long_name   y\n"
        );
        assert_eq!(align(&[]), "");
    }
}
