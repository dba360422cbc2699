//! Where boxes stand: in columns by how far they are from where rows come from (Sugiyama, Tagawa and Toda 1981), in an
//! order that lets few lines cross. A line over several columns takes a place in each of them.

use super::{Lineage, NodeKind};

/// A box, or the place where a line passes a column.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    /// Its place among the nodes; `None` for a line.
    pub node: Option<usize>,
    pub column: usize,
    pub height: f64,
    /// The middle.
    pub y: f64,
}

#[derive(Debug)]
pub(super) struct Layout {
    pub spots: Vec<Spot>,
    /// By edge: the spots that its line passes, from the first box to the last.
    pub lines: Vec<Vec<usize>>,
    pub columns: usize,
    pub height: f64,
}

/// Between boxes of a column.
const GAP: f64 = 22.0;
/// What a passing line takes up.
const LINE: f64 = 14.0;
const SWEEPS: usize = 24;

pub(super) fn of(lineage: &Lineage, heights: &[f64]) -> Layout {
    let place = |id: &str| lineage.nodes.iter().position(|node| node.id == id);
    let ends: Vec<Option<(usize, usize)>> =
        lineage.edges.iter().map(|edge| place(&edge.from).zip(place(&edge.to))).collect();
    let column = columns(lineage, &ends);
    let mut spots: Vec<Spot> = (0..lineage.nodes.len())
        .map(|node| Spot { node: Some(node), column: column[node], height: heights[node], y: 0.0 })
        .collect();
    let mut lines = Vec::with_capacity(ends.len());
    for (from, to) in ends.iter().map(|ends| ends.unwrap_or((0, 0))) {
        let mut line = vec![from];
        for column in column[from] + 1..column[to] {
            line.push(spots.len());
            spots.push(Spot { node: None, column, height: LINE, y: 0.0 });
        }
        line.push(to);
        lines.push(line);
    }
    let columns = column.iter().max().map_or(0, |last| last + 1);
    let mut layout = Layout { spots, lines, columns, height: 0.0 };
    layout.arrange();
    layout
}

/// The longest way from an origin; boxes of the later kinds stand no further left than any before them.
fn columns(lineage: &Lineage, ends: &[Option<(usize, usize)>]) -> Vec<usize> {
    let mut column = vec![0; lineage.nodes.len()];
    let lengthen = |column: &mut Vec<usize>| {
        // There is no cycle, so no way is longer than there are nodes.
        for _ in 0..column.len() {
            for (from, to) in ends.iter().flatten() {
                column[*to] = column[*to].max(column[*from] + 1);
            }
        }
    };
    lengthen(&mut column);
    for kind in [NodeKind::View, NodeKind::Model, NodeKind::Endpoint] {
        let of_kind: Vec<usize> = (0..column.len()).filter(|node| lineage.nodes[*node].kind == kind).collect();
        let last = of_kind.iter().map(|node| column[*node]).max().unwrap_or_default();
        of_kind.into_iter().for_each(|node| column[node] = last);
        lengthen(&mut column);
    }
    // A file stands beside what reads it.
    for node in (0..column.len()).filter(|node| lineage.nodes[*node].kind == NodeKind::Origin) {
        let readers = ends.iter().flatten().filter(|(from, _)| *from == node).map(|(_, to)| column[*to]);
        column[node] = readers.min().map_or(column[node], |reader| reader.saturating_sub(1));
    }
    column
}

impl Layout {
    fn arrange(&mut self) {
        let mut order: Vec<Vec<usize>> = vec![Vec::new(); self.columns];
        for (spot, described) in self.spots.iter().enumerate() {
            order[described.column].push(spot);
        }
        let neighbours = self.neighbours();
        order.iter().for_each(|column| self.stack(column));
        let mut best = (self.crossings(), order.clone());
        for sweep in 0..SWEEPS {
            let to_the_right = sweep % 2 == 0;
            let mut sequence: Vec<usize> = (0..self.columns).collect();
            if !to_the_right {
                sequence.reverse();
            }
            for column in sequence {
                let wish =
                    |spot: &usize| self.wish(&neighbours[*spot], column, to_the_right).unwrap_or(self.spots[*spot].y);
                let mut wished: Vec<(f64, usize)> = order[column].iter().map(|spot| (wish(spot), *spot)).collect();
                wished.sort_by(|a, b| a.0.total_cmp(&b.0));
                order[column] = wished.into_iter().map(|(_, spot)| spot).collect();
                self.stack(&order[column]);
            }
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, order.clone());
            }
        }
        let order = best.1;
        order.iter().for_each(|column| self.stack(column));
        self.straighten(&order, &neighbours);
    }

    fn neighbours(&self) -> Vec<Vec<usize>> {
        let mut neighbours = vec![Vec::new(); self.spots.len()];
        for pair in self.lines.iter().flat_map(|line| line.windows(2)) {
            neighbours[pair[0]].push(pair[1]);
            neighbours[pair[1]].push(pair[0]);
        }
        neighbours
    }

    /// Where a spot would stand if only its neighbours on one side counted.
    fn wish(&self, neighbours: &[usize], column: usize, to_the_right: bool) -> Option<f64> {
        let before = |other: &&usize| match to_the_right {
            true => self.spots[**other].column < column,
            false => self.spots[**other].column > column,
        };
        let heights: Vec<f64> = neighbours.iter().filter(before).map(|other| self.spots[*other].y).collect();
        (!heights.is_empty()).then(|| heights.iter().sum::<f64>() / heights.len() as f64)
    }

    /// One under the other, the middle of the column at 0.
    fn stack(&mut self, column: &[usize]) {
        let total: f64 = column.iter().map(|spot| self.spots[*spot].height + GAP).sum::<f64>() - GAP;
        let mut top = -total / 2.0;
        for spot in column {
            let spot = &mut self.spots[*spot];
            spot.y = top + spot.height / 2.0;
            top += spot.height + GAP;
        }
    }

    fn crossings(&self) -> usize {
        let pairs: Vec<(usize, f64, f64)> = self
            .lines
            .iter()
            .flat_map(|line| line.windows(2))
            .map(|pair| (self.spots[pair[0]].column, self.spots[pair[0]].y, self.spots[pair[1]].y))
            .collect();
        let cross = |a: &(usize, f64, f64), b: &(usize, f64, f64)| a.0 == b.0 && (a.1 - b.1) * (a.2 - b.2) < 0.0;
        pairs.iter().enumerate().map(|(place, a)| pairs[place + 1..].iter().filter(|b| cross(a, b)).count()).sum()
    }

    /// Moves spots towards their neighbours as far as the order and the gaps allow, then begins at 0.
    fn straighten(&mut self, order: &[Vec<usize>], neighbours: &[Vec<usize>]) {
        for _ in 0..SWEEPS {
            for column in order {
                let wishes: Vec<f64> = column
                    .iter()
                    .map(|spot| {
                        let near = &neighbours[*spot];
                        let sum: f64 = near.iter().map(|other| self.spots[*other].y).sum();
                        if near.is_empty() { self.spots[*spot].y } else { sum / near.len() as f64 }
                    })
                    .collect();
                for (spot, y) in column.iter().zip(spread(&wishes, &self.heights(column))) {
                    self.spots[*spot].y = y;
                }
            }
        }
        let top = self.spots.iter().map(|spot| spot.y - spot.height / 2.0).fold(f64::INFINITY, f64::min);
        self.spots.iter_mut().for_each(|spot| spot.y -= top);
        self.height = self.spots.iter().map(|spot| spot.y + spot.height / 2.0).fold(0.0, f64::max);
    }

    fn heights(&self, column: &[usize]) -> Vec<f64> {
        column.iter().map(|spot| self.spots[*spot].height).collect()
    }
}

/// The places nearest to the wishes, in their order and without overlap: blocks that touch move as one.
fn spread(wishes: &[f64], heights: &[f64]) -> Vec<f64> {
    // Of each block: its first member, how many, and the sum of what they wish for the first.
    let mut blocks: Vec<(usize, usize, f64)> = Vec::new();
    let apart = |a: usize, b: usize| (heights[a] + heights[b]) / 2.0 + GAP;
    let offset = |first: usize, member: usize| (first..member).map(|place| apart(place, place + 1)).sum::<f64>();
    for (place, wish) in wishes.iter().enumerate() {
        blocks.push((place, 1, *wish));
        while let [.., before, last] = blocks.as_slice() {
            let shift = offset(before.0, last.0);
            let end = before.2 / before.1 as f64 + shift;
            if end <= last.2 / last.1 as f64 {
                break;
            }
            let joined = (before.0, before.1 + last.1, before.2 + last.2 - shift * last.1 as f64);
            blocks.truncate(blocks.len() - 2);
            blocks.push(joined);
        }
    }
    let mut places = Vec::with_capacity(wishes.len());
    for (first, members, sum) in blocks {
        let start = sum / members as f64;
        places.extend((first..first + members).map(|member| start + offset(first, member)));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wishes_for_one_place_stands_around_it() {
        let near = |found: Vec<f64>, wanted: &[f64]| {
            assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
        };
        near(spread(&[0.0, 100.0], &[20.0, 20.0]), &[0.0, 100.0]);
        let apart = 20.0 + GAP;
        near(spread(&[50.0, 50.0], &[20.0, 20.0]), &[50.0 - apart / 2.0, 50.0 + apart / 2.0]);
        near(spread(&[5.0, 5.0, 5.0], &[20.0, 20.0, 20.0]), &[5.0 - apart, 5.0, 5.0 + apart]);
    }
}
