//! Pages of lists that are too long for one answer, and the cursors that lead from one page to the next.
//!
//! A list is ordered from the newest entry to the oldest, and entries of the same time by their id. The recordings
//! and the call log share the types; each defines with a [`CursorForm`] which ids its cursors contain.

use std::fmt;

/// One page of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries of this page.
    pub entries: Vec<T>,
    /// Where the next page begins, if there is one. Entries that arrive in the meantime come before it.
    pub next: Option<Cursor>,
}

/// A position in a list: directly after the entry that the cursor names, even if this entry no longer exists.
///
/// The text of a cursor, as in URLs, is `{time}~{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The time of the entry, in the unit of the list: UTC milliseconds or microseconds.
    pub time: i64,
    /// The id of the entry.
    pub id: String,
}

/// The form of the cursors of one list.
#[derive(Debug, Clone, Copy)]
pub struct CursorForm {
    /// The most digits of the time. With more digits than a number of the list's unit needs, times that no entry has
    /// would be accepted; 18 digits always fit into an `i64`.
    pub time_digits: usize,
    /// The longest id, in bytes.
    pub id_bytes: usize,
    /// Whether an id can contain this byte.
    pub is_id_byte: fn(&u8) -> bool,
}

/// The text is not a cursor of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: use next_cursor of the page before")]
pub struct CursorError;

impl Cursor {
    /// Parses the text of a cursor.
    ///
    /// # Errors
    /// The text does not have this form.
    pub fn parse(text: &str, form: &CursorForm) -> Result<Self, CursorError> {
        let (time, id) = text.split_once('~').ok_or(CursorError)?;
        let is_time =
            (1..=form.time_digits).contains(&time.len()) && time.bytes().all(|byte| byte.is_ascii_digit());
        let is_id = (1..=form.id_bytes).contains(&id.len()) && id.as_bytes().iter().all(form.is_id_byte);
        if !is_time || !is_id {
            return Err(CursorError);
        }
        Ok(Self { time: time.parse().map_err(|_| CursorError)?, id: id.to_owned() })
    }

    /// The time and the id that the entries of a page follow. Without a cursor, the page begins with the newest entry.
    #[must_use]
    pub fn begin(after: Option<&Self>) -> (i64, &str) {
        after.map_or((i64::MAX, ""), |after| (after.time, &after.id))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}", self.time.max(0), self.id)
    }
}

/// How many rows a query must select for a page of `limit` entries. One row more than the page shows tells whether
/// another page follows.
#[must_use]
pub fn rows_of(limit: u32) -> i64 {
    i64::from(limit) + 1
}

/// Reduces the selected rows to those of the page. Returns the last row of the page if another page follows.
pub fn cut<R>(rows: &mut Vec<R>, limit: u32) -> Option<&R> {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    rows.last().filter(|_| more)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: CursorForm = CursorForm { time_digits: 3, id_bytes: 4, is_id_byte: u8::is_ascii_graphic };

    #[test]
    fn a_cursor_is_a_time_and_an_id_within_the_form_of_its_list() {
        for text in ["0~a", "999~a~.b", "7~!~~~"] {
            assert_eq!(Cursor::parse(text, &FORM).map(|cursor| cursor.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "~", "1~", "~a", "1a", "1000~a", "-1~a", "+1~a", "1~abcde", "1~a b", "1~ñ", " 1~a"]
        {
            assert_eq!(Cursor::parse(text, &FORM), Err(CursorError), "{text}");
        }
        let before_1970 = Cursor { time: -1, id: "a".to_owned() };
        assert_eq!(before_1970.to_string(), "0~a", "the text has no sign");
    }

    #[test]
    fn a_page_is_followed_by_another_if_there_was_one_row_more() {
        for (selected, shown, last) in [(0, 0, None), (2, 2, None), (3, 3, None), (4, 3, Some(&2))] {
            let mut rows: Vec<i32> = (0..selected).collect();
            assert!(selected as i64 <= rows_of(3));
            assert_eq!(cut(&mut rows, 3), last, "{selected}");
            assert_eq!(rows.len(), shown, "{selected}");
        }
    }
}
