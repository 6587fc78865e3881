//! The closed lists of what can be recorded. Their numbers are part of the file format.

use serde::{Deserialize, Serialize};

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $number:literal $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum $name { $($(#[$item])* $variant = $number),+ }

        impl $name {
            /// All of them, by number.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The one with this number, if there is one.
            pub fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some($name::$variant),)+ _ => None }
            }

            /// The one with this word, if there is one.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().find(|one| one.name() == name).copied()
            }

            /// The word for it in Elixir and in the docs.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }
    };
}

numbered! {
    /// What happened.
    Kind {
        /// A function was entered. Payload: number of arguments plus one (0: not recorded), the arguments.
        Call = 1 "call",
        /// It returned. Payload: 1 and the value, or 0.
        Return = 2 "return",
        /// An exception left it. Payload: 0 error, 1 exit, 2 throw; the reason; the stack.
        Raise = 3 "raise",
        /// It gave its frame to the function called next. Payload: 0.
        Tail = 4 "tail",
        /// A server's state as it is from now on: a keyframe. Payload: [`StateOrigin`] and number of the state (see
        /// [`StateOrigin::pack`]), the state, and, where it is known, the patch that makes it of the state before.
        State = 5 "state",
        /// Who a process is, seen at its first event. Payload: 0, a map.
        Process = 6 "process",
        /// Events are missing. Payload: [`LossCause`], how many, first and last nanosecond of the interval.
        Gap = 7 "gap",
        /// Recording was paused or stopped by the user. Payload: 0.
        Pause = 8 "pause",
        /// Recording went on. Payload: 0.
        Resume = 9 "resume",
        /// Variables were bound. Payload: how many, their values; their names are in the site.
        Binding = 10 "binding",
        /// Calls that were counted, not recorded, since the last event of this kind for the site. Payload: how many.
        Count = 11 "count",
        /// A server's state, by its difference. Payload: as of a keyframe, the patch that makes it of the state before.
        Change = 12 "change",
        /// Likewise, by two differences. Payload: the same, then the number of the last keyframe, and the patch that makes
        /// the state of that.
        Anchor = 13 "anchor",
        /// A bookmark. Payload: 0, its label.
        Mark = 14 "mark",
        /// A message was sent. Payload: 0, or 1 when there was no such process; the message, whom to (a pid, a port, a name,
        /// a name and a node, an alias), the digest of the message.
        Send = 15 "send",
        /// A message was delivered to the process. Payload: 0; the message, whom from (`nil` when the VM does not say),
        /// the digest of the message: that of the same message when it was sent.
        Receive = 16 "receive",
        /// A `receive` took a message, or stopped waiting. Payload: 1, the message; or 0.
        Take = 17 "take",
        /// A `receive` began. Payload: 0.
        Wait = 18 "wait",
        /// The process made another one. Payload: 0; its pid, its first call as a tuple of module, function and arguments.
        Spawn = 19 "spawn",
        /// The process was made. Payload: 0; by which process, its first call.
        Spawned = 20 "spawned",
        /// The process ended. Payload: 0, the reason.
        Exit = 21 "exit",
        /// Payload: [`LinkAction`], the other process or port.
        Link = 22 "link",
        /// Payload: 0 registered, 1 unregistered; the name.
        Name = 23 "name",
        /// The process was given a label. Payload: 0, the label.
        Label = 24 "label",
        /// The VM saw a call of a function that is not instrumented, its return, or an exception that left it. Payload: 0, 1, 2;
        /// module, function, arguments or their number; of a return its value, of an exception its kind and reason.
        Traced = 25 "traced",
        /// The process was given a scheduler (payload: 0), or lost it (1, or 2 because it ended); where it is, as a tuple of
        /// module, function and arity, or 0.
        Schedule = 26 "schedule",
        /// Garbage collection of the process. Payload: 0 a minor one began, 1 ended, 2 a major one began, 3 ended; a list of sizes.
        Collect = 27 "collect",
        /// A port that the process opened or closed, or that ended. Payload: 0 opened, 1 closed; the port, the driver's name or the
        /// reason.
        Port = 28 "port",
        /// The process wrote a line into the log. Payload: 0; the level, the text, a map of metadata.
        Log = 29 "log",
        /// The process emitted an event of `:telemetry`. Payload: 0; its name, a map of measurements, a map of metadata.
        Telemetry = 30 "telemetry",
    }
}

numbered! {
    /// What happened to a link.
    LinkAction {
        /// The process linked itself.
        Link = 0 "link",
        /// It removed a link.
        Unlink = 1 "unlink",
        /// Another process linked itself to it.
        Linked = 2 "linked",
        /// Another process removed a link to it, or ended.
        Unlinked = 3 "unlinked",
    }
}

impl Kind {
    /// Whether it tells a state: it is a keyframe, a change or an anchor.
    #[inline]
    pub fn is_state(self) -> bool {
        matches!(self, Kind::State | Kind::Change | Kind::Anchor)
    }
}

numbered! {
    #[derive(Default)]
    /// What kind of AST node a site is. A `cond`, `if` or `with` is a `case` to the compiler.
    NodeKind {
        /// A function with a name.
        #[default]
        Function = 0 "function",
        /// An anonymous function.
        Closure = 1 "fn",
        /// The head of a clause of either.
        Head = 2 "head",
        /// A match.
        Match = 3 "match",
        /// A clause of `case` and of what is made of it.
        Case = 4 "case",
        /// A `receive`, or a clause of one.
        Receive = 5 "receive",
        /// A clause of `rescue`, `catch` or `else`.
        Try = 6 "try",
        /// A generator of a comprehension.
        Generator = 7 "generator",
        /// A function whose calls are counted, not recorded.
        Counted = 8 "counted",
    }
}

numbered! {
    /// How a state came to be known.
    StateOrigin {
        /// Returned by `init`.
        Init = 0 "init",
        /// Returned by a callback.
        Callback = 1 "callback",
        /// Found different when the next callback began: changed by something that is not instrumented.
        Noticed = 2 "noticed",
        /// Nothing changed it: it is told again, because what it was made of may be missing.
        Restated = 3 "restated",
    }
}

numbered! {
    /// Why events are missing.
    LossCause {
        /// The ring of the thread was full.
        Full = 0 "full",
        /// The event was larger than a ring takes.
        Oversize = 1 "oversize",
        /// The disk took no more.
        Disk = 2 "disk",
        /// Bytes on disk are damaged.
        Damage = 3 "damage",
        /// The user had paused recording.
        Paused = 4 "paused",
        /// The oldest segments were removed: they had become too many or too old.
        Removed = 5 "removed",
        /// Newer events of a flight recording took their place.
        Overwritten = 6 "overwritten",
    }
}

impl StateOrigin {
    /// The number of the payload of a state: the origin in the last two bits, above it the number of the state among those that
    /// its process recorded. So it shows when one of them is missing.
    #[inline]
    pub fn pack(self, number: u64) -> u64 {
        number << 2 | self as u64
    }

    /// The origin and the number of the state.
    #[inline]
    pub fn unpack(packed: u64) -> (Self, u64) {
        let origin = Self::from_number((packed & 3) as u8).unwrap_or(StateOrigin::Callback);
        (origin, packed >> 2)
    }
}
