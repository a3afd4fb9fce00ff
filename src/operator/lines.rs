//! The macro that builds an enum of translated lines from one table, so that no row can lack its kind or one of its
//! texts. The operator's notices and the doctor's findings are such tables.

/// Builds an enum with one variant for each row, and the functions `kind` and `texts`.
///
/// A row holds the comment of the variant, its name and fields, its kind, and its text in Spanish and English. A text
/// that says what to do may follow, also in both languages. The texts name the fields in braces, as in [`format!`];
/// the type of each field implements [`Said`](super::words::Said). The kind of a row is one name for each of the types
/// after `of`.
macro_rules! lines {
    (
        $(#[$about:meta])*
        $visible:vis enum $table:ident of $($kind:ident),+;
        $(
            $(#[$comment:meta])*
            $name:ident $({ $($field:ident: $of:ty),* $(,)? })? => $($of_kind:ident)+,
                $spanish:literal,
                $english:literal
                $(, $spanish_remedy:literal, $english_remedy:literal)?;
        )*
    ) => {
        $(#[$about])*
        $visible enum $table {
            $( $(#[$comment])* $name $({ $($field: $of),* })?, )*
        }

        impl $table {
            /// The kind of the row.
            const fn kind(&self) -> ($($kind,)+) {
                $( use $kind::*; )+
                match self {
                    $( Self::$name { .. } => ($($of_kind,)+), )*
                }
            }

            /// The line and, if there is one, the text that says what to do, in this language.
            fn texts(&self, language: $crate::operator::Language) -> (String, Option<String>) {
                use $crate::operator::{Language, Said as _};
                match self {
                    $( Self::$name $({ $($field),* })? => {
                        $( $( let $field = $field.said(language); )* )?
                        match language {
                            Language::Spanish => (format!($spanish), None $(.or(Some(format!($spanish_remedy))))?),
                            Language::English => (format!($english), None $(.or(Some(format!($english_remedy))))?),
                        }
                    } )*
                }
            }
        }
    };
}
pub(crate) use lines;
