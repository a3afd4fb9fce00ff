//! The tools that were carried out in a call, as a row of the call log holds them: a JSON array in one column.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The largest cell, in bytes. The column of MySQL holds 65 535. A smaller value would lose the words of more tools.
const CELL_BYTES: usize = 48 * 1024;

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolUse {
    /// When the model called, in milliseconds since the caller arrived.
    pub at_ms: u64,
    /// The name of the tool.
    pub name: String,
    /// `ok`, or the code of the error.
    pub outcome: String,
    /// How long the tool took, in milliseconds.
    pub ms: u64,
    /// The number of requests that were made.
    pub attempts: u32,
    /// The number of the caller's turn in which they agreed. `None` if they did not have to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed_in_turn: Option<u64>,
    /// The arguments, with private values masked. `None` if words are not kept, or if the row has no room for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Value>,
    /// What the model read. `None` as with `arguments`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
}

impl ToolUse {
    /// The same without words.
    #[must_use]
    pub fn without_words(self) -> Self {
        Self { arguments: None, answer: None, ..self }
    }
}

/// The tools as a cell: empty if there are none. If they do not fit with all words, the last ones lose their words, and then are
/// left out.
pub(super) fn cell(tools: &[ToolUse]) -> String {
    let json = |tool: &ToolUse| serde_json::to_string(tool).unwrap_or_default();
    let bare: Vec<_> = tools.iter().map(|tool| json(&tool.clone().without_words())).collect();
    // Room for the tools without words comes first.
    let mut left = CELL_BYTES.saturating_sub(2);
    let kept = bare.iter().take_while(|text| {
        let fits = text.len() < left;
        left = left.saturating_sub(text.len() + 1);
        fits
    });
    let mut cells: Vec<_> = kept.cloned().collect();
    for (cell, tool) in cells.iter_mut().zip(tools) {
        let whole = json(tool);
        let more = whole.len().saturating_sub(cell.len());
        if more > left {
            break;
        }
        left -= more;
        *cell = whole;
    }
    if cells.is_empty() { String::new() } else { format!("[{}]", cells.join(",")) }
}

/// The tools of a cell. What cannot be read, for example because a later version wrote it, counts as none.
pub(super) fn read(cell: Option<&str>) -> Vec<ToolUse> {
    cell.and_then(|cell| serde_json::from_str(cell).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(name: &str, words: usize) -> ToolUse {
        ToolUse {
            at_ms: 1_500,
            name: name.to_owned(),
            outcome: "ok".to_owned(),
            ms: 840,
            attempts: 1,
            agreed_in_turn: Some(2),
            arguments: Some(json!({"note": "ñ".repeat(words)})),
            answer: Some(json!({"ok": true})),
        }
    }

    #[test]
    fn a_cell_holds_all_tools_and_as_many_words_as_fit() {
        assert_eq!(cell(&[]), "");
        let few = vec![tool("find", 3), tool("book", 5)];
        assert_eq!(read(Some(&cell(&few))), few);
        let many: Vec<_> = (0..60).map(|n| tool(&format!("tool_{n}"), 1_000)).collect();
        let text = cell(&many);
        assert!(text.len() <= CELL_BYTES && text.len() > CELL_BYTES - 3_000, "{}", text.len());
        let back = read(Some(&text));
        assert_eq!(back.len(), 60);
        assert_eq!(back[0], many[0]);
        assert_eq!(back[59], many[59].clone().without_words());
        let endless: Vec<_> = (0..2_000).map(|n| tool(&format!("tool_{n}"), 0)).collect();
        assert!(cell(&endless).len() <= CELL_BYTES);
        assert!(!read(Some(&cell(&endless))).is_empty());
    }

    #[test]
    fn a_cell_that_cannot_be_read_is_no_tools() {
        for text in [None, Some(""), Some("{"), Some("[{}]")] {
            assert_eq!(read(text), []);
        }
    }
}
