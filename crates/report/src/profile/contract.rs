use super::{FILES, Page};
use crate::document::{Block, Cell, Section, Table};
use crate::words::{percent, short, thousands};

impl Page<'_> {
    pub(super) fn contract_section(&self) -> Section {
        let contract = &self.contract;
        let mut blocks = Vec::new();
        if let Some(refused) = &contract.refused {
            blocks.push(Block::Note { text: format!("This delivery would be refused: {refused}"), style: "bad" });
        }
        for (what, rows) in contract.outside_rules.iter().filter(|(_, rows)| *rows > 0) {
            blocks.push(Block::Note { text: format!("{} rows {what}", thousands(*rows)), style: "" });
        }
        if contract.rules.is_empty() {
            blocks.push(Block::Note { text: "The source's file has no contract.".to_owned(), style: "plain" });
        } else {
            blocks.push(Block::Table(self.rules()));
        }
        blocks.extend(contract.left_out.iter().map(|line| Block::Prose(line.clone())));
        if !contract.files.is_empty() {
            blocks.push(Block::Table(self.files()));
        }
        Section {
            id: "contract".to_owned(),
            title: "What the contract found".to_owned(),
            lead: format!(
                "{} rows read = {} accepted + {} quarantined. From {}.",
                thousands(contract.read),
                thousands(contract.accepted),
                thousands(contract.quarantined),
                contract.from
            ),
            blocks,
        }
    }

    fn rules(&self) -> Table {
        let rows = self.contract.rules.iter().enumerate().map(|(place, rule)| {
            let (verdict, style) = match (rule.failed, rule.fired) {
                (_, true) => ("refuses", "bad"),
                (0, false) => ("holds", "good"),
                (_, false) => ("found some", "strong"),
            };
            vec![
                (place + 1).to_string().into(),
                Cell::styled(verdict, style),
                Cell::styled(rule.check.as_str(), "code"),
                rule.on.as_str().into(),
                rule.means.as_str().into(),
                thousands(rule.failed).into(),
                percent(rule.share).into(),
                rule.action.as_str().into(),
                Cell::styled(rule.example.as_str(), "soft"),
            ]
        });
        Table {
            caption: String::new(),
            header: ["", "", "check", "column", "fails when it", "failed", "share", "action", "first"]
                .map(str::to_owned)
                .to_vec(),
            numbers: vec![5, 6],
            rows: rows.collect(),
        }
    }

    fn files(&self) -> Table {
        let files = &self.contract.files;
        let rows = files.iter().take(FILES).map(|file| {
            vec![
                Cell::styled(file.path.as_str(), "code"),
                thousands(file.rows).into(),
                thousands(file.bytes).into(),
                Cell::styled(short(&file.digest), "code"),
            ]
        });
        Table {
            caption: match files.len() {
                more if more > FILES => format!("The first {FILES} of {} files", thousands(more as u64)),
                _ => "Files".to_owned(),
            },
            header: ["file", "rows", "bytes", "digest"].map(str::to_owned).to_vec(),
            numbers: vec![1, 2],
            rows: rows.collect(),
        }
    }
}
