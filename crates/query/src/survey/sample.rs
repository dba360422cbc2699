/// Rows held at most.
const MOST: usize = 40_000;

/// Rows spread evenly over a file of unknown length: every one at first, then every second, fourth...
#[derive(Debug, Default)]
pub struct Sample {
    width: usize,
    cells: Vec<Option<Box<str>>>,
    seen: u64,
    stride: u64,
}

impl Sample {
    pub(super) fn new(width: usize) -> Sample {
        Sample { width, cells: Vec::new(), seen: 0, stride: 1 }
    }

    pub(super) fn add(&mut self, row: &[Option<&str>]) {
        self.seen += 1;
        if !(self.seen - 1).is_multiple_of(self.stride) || self.width == 0 {
            return;
        }
        self.cells.extend(row.iter().map(|cell| cell.map(Box::from)));
        if self.rows() > MOST {
            let mut row = 0;
            let width = self.width;
            let mut place = 0;
            self.cells.retain(|_| {
                let kept = row % 2 == 0;
                place += 1;
                if place == width {
                    (place, row) = (0, row + 1);
                }
                kept
            });
            self.stride *= 2;
        }
    }

    pub fn rows(&self) -> usize {
        self.cells.len().checked_div(self.width).unwrap_or(0)
    }

    pub(super) fn cell(&self, row: usize, column: usize) -> Option<&str> {
        self.cells[row * self.width + column].as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_over_the_whole_file() {
        let mut sample = Sample::new(2);
        for row in 0..100_000 {
            let text = row.to_string();
            sample.add(&[Some(&text), None]);
        }
        assert!(sample.rows() <= MOST && sample.rows() > MOST / 2, "{}", sample.rows());
        assert_eq!(sample.cell(0, 0), Some("0"));
        assert_eq!(sample.cell(1, 0), Some("4"));
        assert_eq!(sample.cell(1, 1), None);
        let last: u64 = sample.cell(sample.rows() - 1, 0).unwrap().parse().unwrap();
        assert_eq!(last, 99_996);
    }
}
