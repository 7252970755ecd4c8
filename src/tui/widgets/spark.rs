//! A sparkline of one row.

/// Draws numbers as bars of eight heights, the largest the full height; zero is a blank.
#[must_use]
pub fn bars(numbers: &[u64], signs: &[&'static str; 8]) -> String {
    let most = numbers.iter().copied().max().unwrap_or(0).max(1);
    let bar = |number: &u64| match number {
        0 => " ",
        number => {
            let eighths = u128::from(*number) * 8;
            let height = usize::try_from(eighths.div_ceil(u128::from(most))).unwrap_or(8);
            signs.get(height.clamp(1, 8) - 1).copied().unwrap_or(" ")
        }
    };
    numbers.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_fills_its_cell_and_nothing_stays_blank() {
        let signs = ["1", "2", "3", "4", "5", "6", "7", "8"];
        assert_eq!(bars(&[0, 1, 4, 8, 0], &signs), " 148 ");
        assert_eq!(bars(&[u64::MAX, 1], &signs), "81");
        assert_eq!(bars(&[0, 0], &signs), "  ");
        assert_eq!(bars(&[], &signs), "");
    }
}
