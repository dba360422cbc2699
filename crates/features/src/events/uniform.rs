//! A column that takes no memory while all its values are the same, as commits, delays and removals mostly are.

use super::at;

#[derive(Debug, Clone)]
pub(crate) enum Uniform<T> {
    Same { value: T, len: usize },
    Each(Vec<T>),
}

impl<T: Copy + PartialEq + Default> Uniform<T> {
    pub(crate) fn new() -> Uniform<T> {
        Uniform::Same { value: T::default(), len: 0 }
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> T {
        match self {
            Uniform::Same { value, .. } => *value,
            Uniform::Each(values) => values[index],
        }
    }

    pub(crate) fn push(&mut self, next: T) {
        match self {
            Uniform::Same { value, len } if *len == 0 || *value == next => {
                *value = next;
                *len += 1;
            }
            Uniform::Same { value, len } => {
                let mut values = vec![*value; *len];
                values.push(next);
                *self = Uniform::Each(values);
            }
            Uniform::Each(values) => values.push(next),
        }
    }

    /// The values at `rows`.
    pub(crate) fn at(&self, rows: &[u32]) -> Uniform<T> {
        match self {
            Uniform::Same { value, .. } => Uniform::Same { value: *value, len: rows.len() },
            Uniform::Each(values) => Uniform::Each(at(values, rows)),
        }
    }

    /// Replaces what `into` holds by the values at `rows`.
    pub(crate) fn gather(&self, into: &mut Vec<T>, rows: &[u32]) {
        into.clear();
        match self {
            Uniform::Same { value, .. } => into.resize(rows.len(), *value),
            Uniform::Each(values) => into.extend(rows.iter().map(|row| values[*row as usize])),
        }
    }
}

impl<T: Copy + PartialEq + Default> Extend<T> for Uniform<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, iterator: I) {
        let mut iterator = iterator.into_iter();
        loop {
            if let Uniform::Each(values) = self {
                values.extend(iterator);
                return;
            }
            let Some(next) = iterator.next() else { return };
            self.push(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_whether_they_differ_or_not() {
        for values in [vec![], vec![3, 3, 3], vec![3, 3, 4, 3], vec![1, 2]] {
            let mut column = Uniform::new();
            column.extend(values.clone());
            assert_eq!((0..values.len()).map(|index| column.get(index)).collect::<Vec<i64>>(), values);
            let mut gathered = vec![9];
            let rows: Vec<u32> = (0..values.len() as u32).rev().collect();
            column.gather(&mut gathered, &rows);
            assert_eq!(gathered, values.iter().rev().copied().collect::<Vec<i64>>());
            let turned = column.at(&rows);
            assert_eq!((0..values.len()).map(|index| turned.get(index)).collect::<Vec<i64>>(), gathered);
            assert_eq!(matches!(column, Uniform::Same { .. }), values.iter().all(|value| *value == values[0]));
        }
    }
}
