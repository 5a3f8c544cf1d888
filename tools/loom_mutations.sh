#!/usr/bin/env bash
# Shows that the loom models need each re-check of the files they test: takes one out at a time, in a copy, and expects
# the models to fail. Exits 1 if one can be taken out unnoticed. tools/loom_mutations.sh [name] tries one of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root="$PWD"
copy="$(mktemp -d)"
trap 'rm -rf "$copy"' EXIT
mkdir -p "$copy/src" "$copy/tests"
cp -r tests/loom "$copy/tests/loom"
rm -rf "$copy/tests/loom/target"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target/loom}/mutations"
only="${1:-}"
tried=0
bad=()

# mutate FILE NAME PERL [MODEL]: a substitution over the whole file, which must change it. The model, of the same name
# unless said, must fail.
mutate() {
    local file="$1" name="$1: $2" model perl="$3" log="$copy/log"
    model="${4:-$(basename "$file" .rs)}"
    [[ -z "$only" || "$name" == *"$only"* ]] || return 0
    tried=$((tried + 1))
    rm -rf "$copy/src/io"
    cp -r src/io "$copy/src/io"
    # One way to lay out the text, whichever the project has.
    rustfmt --edition 2024 --config max_width=120,use_small_heuristics=Max "$copy/src/io/$file"
    cp "$copy/src/io/$file" "$copy/before"
    perl -0777 -i -pe "$perl" "$copy/src/io/$file"
    touch "$copy/tests/loom/src/lib.rs"
    if cmp -s "$copy/before" "$copy/src/io/$file"; then
        echo "STALE     $name: the pattern no longer matches"
        bad+=("$name")
    elif ! (cd "$copy/tests/loom" && cargo test --quiet --release --test "$model" --no-run) >"$log" 2>&1; then
        echo "BROKEN    $name: does not compile"
        sed 's/^/    /' "$log"
        bad+=("$name")
    elif (cd "$copy/tests/loom" && timeout 120 cargo test --quiet --release --test "$model") >"$log" 2>&1; then
        echo "SURVIVED  $name"
        bad+=("$name")
    else
        echo "caught    $name"
    fi
}

mutate inbox/queue.rs "falling asleep is no longer one step with looking" \
    's/let mut inner = self\.inner\.lock\(\);\s*(\/\/ Looking[^\n]*\n\s*)let empty = inner\.batch\.is_empty\(\);/let empty = self.is_empty();\n let mut inner = self.inner.lock();/'
mutate inbox/queue.rs "a push wakes nobody" 's/inner\.sleeper\.clone\(\)/None/'
mutate inbox/queue.rs "a push believes the pump to be up" 's/if !self\.asleep\.load\(Ordering::Relaxed\)/if true/'
mutate inbox/queue.rs "the pump does not say that it sleeps" 's/self\.asleep\.store\(empty, Ordering::Relaxed\);/self.asleep.store(false, Ordering::Relaxed);/'
mutate inbox/queue.rs "the pump is up after it looked" 's/(if !empty \{\s*return Poll::Ready\(\(\)\);\s*\})/$1\n self.asleep.store(false, Ordering::Relaxed);/'
mutate inbox/queue.rs "bytes and their event are two steps" \
    's/(let place = inner\.batch\.bytes\.push\(bytes\);)/$1\n drop(inner);\n let mut inner = self.inner.lock();/'

mutate conn/sender.rs "nobody sends only after the lock" \
    's/(let next = state\.settle\([^;]*;)/$1\n if state.who == Who::Nobody { state.who = Who::Somebody; drop(state); state = self.state.lock(); state.who = Who::Nobody; }/'
mutate conn/sender.rs "it is off the list only after the look" \
    's/(let taken = state\.begin\(by\);)/$1\n if by == By::List { state.listed = true; drop(state); state = self.state.lock(); state.listed = false; }/'
mutate conn/sender.rs "what is listed is listed again" 's/list: !std::mem::replace\(&mut state\.listed, true\)/list: !std::mem::replace(\&mut state.listed, true) || true/'
mutate conn/sender.rs "the task is not told of what is left to it" \
    's/if matches!\(sent\.flush, Flush::Blocked \| Flush::Failed\) \{\s*self\.show_due\(&state\);\s*\}//'
mutate conn/sender.rs "the task is told of failures only" 's/state\.who == Who::TheTask \|\| state\.error/state.error/'
mutate conn/sender.rs "the task is told of no failure" 's/ \|\| state\.error\.is_some\(\)//'
mutate conn/sender.rs "the task is never told that it is done" 's/if by == By::Task \{\s*self\.show_due\(&state\);\s*\}//'
mutate conn/sender.rs "staging does not look for the FIN" 's/if state\.fin != Fin::Open \{\s*return Staged::Shut;\s*\}//'
mutate conn/send_state.rs "two send at once" 's/self\.who != free \|\| !self\.take/!self.take/; s/let free = /let _ = /' sender
mutate conn/send_state.rs "it stays on the list" 's/self\.listed = false;//' sender
mutate conn/send_state.rs "the sender does not look again" 's/if !self\.staged\.is_empty\(\) \|\| [^{]*\{\s*return self\.go_on[^}]*\}//' sender
mutate conn/send_state.rs "the sender stays the sender" \
    's/self\.who = Who::Nobody;\s*(if self\.is_handshaking\(\) && self\.size\(\) > 0)/$1/' sender
mutate conn/send_state.rs "what is in flight stays so" 's/self\.in_flight = 0;\s*(if let \(Some\(secured\), Ok\(offer\)\))/$1/' sender
mutate conn/send_state.rs "what comes back goes behind" \
    's/let newer = .*?append\(newer\);/let rest = std::mem::take(rest);\n self.staged.append(rest);/s' sender
mutate conn/send_state.rs "a dead one takes bytes back" 's/if !self\.dead \{\s*let newer/if true { let newer/' sender
mutate conn/send_state.rs "what is left is left to nobody" 's/self\.who = Who::TheTask;/self.who = Who::Nobody;/' sender
mutate conn/send_state.rs "the FIN is sent again" 's/self\.fin = Fin::Sent;//' sender
mutate conn/send_state.rs "the FIN does not wait" 's/self\.go_on\(offer\.room && again, rest, flush\)/if self.fin == Fin::Wanted { self.fin = Fin::Sent; self.who = Who::TheTask; *flush = Flush::Blocked; return Next::Fin; }\n self.go_on(offer.room \&\& again, rest, flush)/' sender
mutate conn/send_state.rs "a mark is crossed while somebody sends" 's/\(self\.in_flight == 0\)\.then_some/true.then_some/' sender

mutate inbox/flow_control.rs "the task does not look again after it paused" \
    's/(self\.paused\.store\(true, Ordering::SeqCst\);\s*if )self\.unread\.load\(Ordering::SeqCst\) < limit/${1}false/'
mutate inbox/flow_control.rs "the task pauses after it looked" \
    's/self\.paused\.store\(true, Ordering::SeqCst\);\s*if (self\.unread\.load\(Ordering::SeqCst\) < limit) \{/let room = $1;\n self.paused.store(true, Ordering::SeqCst);\n if room {/'
mutate inbox/flow_control.rs "the pump looks at the pause before it subtracts" \
    's/(let left = .*?;)/let paused = self.paused.load(Ordering::SeqCst);\n $1/; s/&& self\.paused\.load\(Ordering::SeqCst\)/&& paused/'
mutate inbox/flow_control.rs "the pump does not look at the pause" 's/left <= limit \/ 2\s*&&/left < left \&\&/'
mutate inbox/flow_control.rs "pausing is only released" 's/store\(true, Ordering::SeqCst\)/store(true, Ordering::Release)/; s/(store\(true.*?)unread\.load\(Ordering::SeqCst\)/$1unread.load(Ordering::Acquire)/s; s/fetch_sub\(bytes, Ordering::SeqCst\)/fetch_sub(bytes, Ordering::AcqRel)/; s/paused\.load\(Ordering::SeqCst\)/paused.load(Ordering::Acquire)/'

mutate runtime/handover.rs "the helper does not look after it registered" \
    's/if self\.helper_drives\(\) \{ Poll::Pending \} else \{ Poll::Ready\(\(\)\) \}/Poll::Pending/'
mutate runtime/handover.rs "the helper looks before it registers" \
    's/(\*self\.helper\.lock\(\) = [^\n]*\n\s*)if self\.helper_drives\(\)/let drives = self.helper_drives();\n $1if drives/'
mutate runtime/handover.rs "any wake-up is a recall" \
    's/if self\.helper_drives\(\) \{ Poll::Pending \} else \{ Poll::Ready\(\(\)\) \}/let first = self.first.swap(false, Ordering::SeqCst);\n if first \&\& self.helper_drives() { Poll::Pending } else { self.first.store(true, Ordering::SeqCst); Poll::Ready(()) }/; s/word: AtomicU64,/word: AtomicU64,\n first: crate::io::sync::AtomicBool,/; s/(word: AtomicU64::new\(AWAY\),)/$1 first: crate::io::sync::AtomicBool::new(true),/'
mutate runtime/handover.rs "the pump wakes no helper" 's/if word & WHO == HELPER \{\s*self\.wake_helper\(\);\s*\}//'
mutate runtime/handover.rs "the pump enters without looking again" \
    's/while let Err\(now\) =\s*self\.word\.compare_exchange\(word, (word & !WHO \| INSIDE), Ordering::SeqCst, Ordering::SeqCst\)\s*\{\s*word = now;\s*\}/self.word.store($1, Ordering::SeqCst);/; s/let mut word/let word/'
mutate runtime/handover.rs "the helper takes over while the pump is inside" \
    's/Self::is_away\(seen\)\s*&& //'
mutate runtime/handover.rs "the helper takes over without looking again" \
    's/&& self\.word\.compare_exchange\(seen, (seen & !WHO \| HELPER), Ordering::SeqCst, Ordering::SeqCst\)\.is_ok\(\)/\&\& { self.word.store($1, Ordering::SeqCst); true }/'
mutate runtime/handover.rs "turns are not counted" 's/\+ TURN \+ AWAY/+ AWAY/'

mutate runtime/mailbox.rs "what is left is not said" 's/self\.any\.store\(true, Ordering::SeqCst\);//'
mutate runtime/mailbox.rs "what is left is said before" \
    's/(self\.waiting\.lock\(\)\.push\(command\);)\s*(self\.any\.store\(true, Ordering::SeqCst\);)/$2\n $1/'
mutate runtime/mailbox.rs "it is cleared after it was taken" \
    's/(\/\/ Cleared first[^\n]*\n\s*)(self\.any\.store\(false, Ordering::SeqCst\);)\s*(std::mem::take[^\n]*)/let all = $3;\n $2\n all/'

mutate runtime/absence.rs "who waits is not said" 's/self\.anyone_waits\.store\(true, Ordering::SeqCst\);//'
mutate runtime/absence.rs "who waits is said before" \
    's/(self\.waiting\.lock\(\)\.push\(waker\.clone\(\)\);)\s*(self\.anyone_waits\.store\(true, Ordering::SeqCst\);)/$2\n $1/'
mutate runtime/absence.rs "it is cleared after they were taken" \
    's/(self\.anyone_waits\.store\(false, Ordering::SeqCst\);)\s*(let waiting = [^\n]*)/$2\n $1/'
mutate runtime/absence.rs "nobody is woken" 's/waiting\.into_iter\(\)\.for_each\(Waker::wake\);/drop(waiting);/'

mutate runtime/late_flush.rs "nobody calls the task" 's/self\.call\.notify_one\(\);//'
mutate runtime/late_flush.rs "who stages looks before it says so" \
    's/(self\.staged\.swap\(true, Ordering::SeqCst\);)\s*if (self\.asleep\.load\(Ordering::SeqCst\)) &&/let asleep = $2;\n $1\n if asleep \&\&/'
mutate runtime/late_flush.rs "the task does not look again before it sleeps" 's/if !self\.staged\.load\(Ordering::SeqCst\) \|\|/if true ||/'
mutate runtime/late_flush.rs "the task sleeps after it looked" \
    's/(self\.asleep\.swap\(true, Ordering::SeqCst\);)\s*if !(self\.staged\.load\(Ordering::SeqCst\)) \|\|/let staged = $2;\n $1\n if !staged ||/'
mutate runtime/late_flush.rs "both only release and acquire" \
    's/load\(Ordering::SeqCst\)/load(Ordering::Acquire)/g; s/swap\((\w+), Ordering::SeqCst\)/swap($1, Ordering::AcqRel)/g'

mutate runtime/watch.rs "the helper parks without a look at where the pump is" \
    's/if !Handover::is_away\(handover\.observe\(\)\) \{\s*return;\s*\}/return;/'
mutate runtime/watch.rs "the helper parks after it looked" \
    's/(self\.watching\.store\(false, Ordering::SeqCst\);)\s*if !Handover::is_away\(handover\.observe\(\)\) \{\s*return;\s*\}/if !Handover::is_away(handover.observe()) {\n $1\n return;\n }/'
mutate runtime/watch.rs "the helper watches and sets no alarm" 's/self\.alarm\.set\(rest\(\)\);/let _ = rest();/'
mutate runtime/watch.rs "the helper watches after it set the alarm" \
    's/(self\.watching\.store\(true, Ordering::SeqCst\);)\s*(self\.alarm\.set\(rest\(\)\);)/$2\n $1/'
mutate runtime/watch.rs "the pump sets no alarm when it leaves" 's/self\.set = true;\s*watch\.alarm\.set\(watch\.grace\);/self.set = true;/'
mutate runtime/watch.rs "the pump does not look again after it cleared the alarm" \
    's/(watch\.alarm\.clear\(\);.*?)if watch\.watching\.load\(Ordering::SeqCst\)/${1}if false/s'
mutate runtime/watch.rs "the pump looks before it clears the alarm" \
    's/watch\.alarm\.clear\(\);(.*?)if watch\.watching\.load\(Ordering::SeqCst\)/let watching = watch.watching.load(Ordering::SeqCst);\n watch.alarm.clear();\n if watching/s'
mutate runtime/watch.rs "the pump hands over an alarm that may have rung" \
    's/(watch\.watching\.store\(true, Ordering::SeqCst\);)\s*watch\.alarm\.set\(watch\.grace\);/$1/'
mutate runtime/watch.rs "the pump hands the alarm over after it set it" \
    's/(watch\.watching\.store\(true, Ordering::SeqCst\);)\s*(watch\.alarm\.set\(watch\.grace\);)/$2\n $1/'
mutate runtime/watch.rs "a stop sets no alarm" 's/self\.alarm\.set\(Duration::from_nanos\(1\)\);//'

mutate runtime/scheduler.rs "a call during a poll is forgotten" \
    's/(task\.woken_by\.woken\.swap\(false, Ordering::SeqCst\);)(.*?)(if !matches!\(polled)/$2 if let Some(task) = slot { $1 }\n $3/s'
mutate runtime/scheduler.rs "a call wakes no root" 's/(put\(&mut inner\);\s*)inner\.root\.take\(\)/${1}None::<Waker>/'
mutate runtime/scheduler.rs "a new task wakes no root" 's/self\.queue\.put\(\|inner\| inner\.new\.push\(task\)\);/self.queue.inner.lock().new.push(task);/'

if [ "$tried" -eq 0 ]; then
    echo "no mutation is called '$only'" >&2
    exit 1
fi
echo "$tried mutations, ${#bad[@]} not caught"
[ "${#bad[@]}" -eq 0 ]
