# SPDX-License-Identifier: MIT
"""Small mutations of C text: what tools/mutate can change in a file of src/, found without a compiler.

Knows tokens, the layout that clang-format gives the tree, and which changes are worth a test. Refuses to know how a
mutated tree is built and judged. Comments, literals, preprocessor lines and assertions are never touched: an assertion is
a claim about the code, not a part of it. Calls that only free are left to the leak checks of the sanitizers."""

import dataclasses
import re

SKIPPED = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | ^[ \t]*\#(?:\\\n|[^\n])*""",
    re.DOTALL | re.VERBOSE | re.MULTILINE)
ASSERTION = re.compile(r"\b(?:static_assert|_Static_assert|assert)\s*\(")
NAME = re.compile(r"([A-Za-z_]\w*)\s*\(")

COMPARISON = re.compile(r"(?<![<>=!\-+*/&|^%])(<=|>=|==|!=|<|>)(?![<>=])")
COMPARISONS = {"<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"), "==": ("!=",), "!=": ("==",)}
NUMBER = re.compile(r"(?<![\w.])(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)(?![\w.])")
WORDS = {"true": "false", "false": "true"}
# with a space on both sides, as clang-format sets binary operators
BINARY = {"&&": "||", "||": "&&", "+": "-", "-": "+", "&": "|", "|": "&", "<<": ">>", ">>": "<<", "/": "*", "%": "/",
          "+=": "-=", "-=": "+=", "|=": "&="}
SPACED = re.compile(r" (&&|\|\||\+=|-=|\|=|<<|>>|[-+&|/%]) ")
STEP = re.compile(r"\+\+|--")
NOT = re.compile(r"!(?!=)")
CONTROL = re.compile(r"\b(if|while) \(")
RETURN = re.compile(r"\breturn ([^;]+);")
DECLARATION = re.compile(r"(?:\w+\s+)+\**\w+\s*(?:=|;|\[|,)|(?:struct|enum|union|const|static)\b|\w+\s+\*")
STATEMENT = re.compile(r"[A-Za-z_(*+-]")
# leaks are the sanitizers' matter; a cast to void is for the compiler
NOISE = re.compile(r"(?:\w*free\w*|va_end|va_start)\s*\(|\(void\)\s*\w+;|(?:return|goto|else|do|case|default|if|for|while|switch)\b")


@dataclasses.dataclass(frozen=True, order=True)
class Mutation:
    """TEXT of FILE with [start, end) replaced. What identifies it is content: file, function, the lines before and after."""
    file: str
    start: int
    end: int
    new: str
    line: int
    function: str
    before: str
    after: str

    def key(self):
        return self.file, self.function, self.before, self.after

    def apply(self, text):
        return text[:self.start] + self.new + text[self.end:]


def squeeze(text):
    return " ".join(text.split())


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def closing(text, start):
    """The position of the bracket that closes the one at START, or -1."""
    depth = 0
    for i in range(start, len(text)):
        if text[i] in "([{":
            depth += 1
        elif text[i] in ")]}":
            depth -= 1
            if depth == 0:
                return i
    return -1


def mask(text):
    """TEXT with spaces for all that is never mutated; every position stays where it is."""
    masked = SKIPPED.sub(lambda m: blank(m.group()), text)
    for found in ASSERTION.finditer(masked):
        end = closing(masked, found.end() - 1)
        if end > 0:
            masked = masked[:found.start()] + blank(masked[found.start():end + 1]) + masked[end + 1:]
    return masked


def functions(masked):
    """(name, returns a bool, start, end) of each function's body. A body begins and ends with a brace in the first column."""
    position, start, head = 0, None, 0
    for line in masked.splitlines(keepends=True):
        if line.startswith("{") and start is None:
            start = position
        elif line.startswith("}"):
            if start is not None:
                signature = masked[head:start]
                found = NAME.search(signature)
                yield found.group(1) if found else "?", bool(re.search(r"\bbool\s+\w+\s*\(", signature)), start, position
            start, head = None, position + len(line)
        elif start is None and line.rstrip().endswith(";"):
            head = position + len(line)
        position += len(line)


def is_single(condition):
    """Its negation is that of its one comparison, or of its one '!'."""
    if " && " in condition or " || " in condition:
        return False
    return len(COMPARISON.findall(condition)) == 1 or re.fullmatch(r"!\w[\w.>-]*(\(.*\))?", condition, re.DOTALL) is not None


def number_changes(found):
    digits, suffix = found.groups()
    if digits[:2].lower() == "0x":
        value, form = int(digits, 16), hex
    elif len(digits) > 1 and digits[0] == "0":
        value, form = int(digits, 8), "0{:o}".format
    else:
        value, form = int(digits), str
    return [form(n) + suffix for n in ((value + 1, value - 1) if value > 0 else (1,))]


def in_expressions(masked, start, end):
    """(start, end, new) of each change of an operator or a constant."""
    for found in COMPARISON.finditer(masked, start, end):
        yield from ((found.start(), found.end(), new) for new in COMPARISONS[found.group(1)])
    for found in SPACED.finditer(masked, start, end):
        yield found.start(1), found.end(1), BINARY[found.group(1)]
    for found in STEP.finditer(masked, start, end):
        yield found.start(), found.end(), "--" if found.group() == "++" else "++"
    for found in NOT.finditer(masked, start, end):
        yield found.start(), found.end(), ""
    for found in NUMBER.finditer(masked, start, end):
        yield from ((found.start(), found.end(), new) for new in number_changes(found))
    for found in re.finditer(r"\b(true|false)\b", masked[start:end]):
        yield start + found.start(), start + found.end(), WORDS[found.group()]


def in_conditions(text, masked, start, end):
    for found in CONTROL.finditer(masked, start, end):
        opening = found.end() - 1
        close = closing(masked, opening)
        if close < 0:
            continue
        condition = text[opening + 1:close]
        if not is_single(masked[opening + 1:close]):
            yield opening + 1, close, f"!({condition})"
        if found.group(1) == "if":
            yield opening + 1, close, f"false && ({condition})"


def in_returns(text, masked, is_bool, start, end):
    for found in RETURN.finditer(masked, start, end):
        value = masked[found.start(1):found.end(1)].strip()
        if value in WORDS or is_single(value):
            continue
        if is_bool or " && " in value or " || " in value:
            yield found.start(1), found.end(1), f"!({text[found.start(1):found.end(1)]})"


def removed(text):
    """A statement's place without it: as many lines as before, so that nothing else moves."""
    return ";" + "\n" * text.count("\n")


def in_statements(text, masked, start, end):
    """Each call, assignment, break and continue, taken away. A statement begins where a line does."""
    last, position = "{", start + 2
    for line in masked[start + 2:end].splitlines(keepends=True):
        stripped = line.strip()
        if stripped and last in "{};):" and STATEMENT.match(stripped):
            begin = position + len(line) - len(line.lstrip())
            stop = begin
            while stop < end and masked[stop] not in ";{}":
                stop = closing(masked, stop) + 1 if masked[stop] in "([" else stop + 1
                if stop == 0: # never closed
                    stop = end
            statement = masked[begin:stop + 1]
            if stop < end and masked[stop] == ";" and not NOISE.match(statement) and not DECLARATION.match(statement):
                yield begin, stop + 1, removed(text[begin:stop + 1])
        if stripped:
            last = "e" if stripped.endswith("else") else stripped[-1]
            last = ")" if last == "e" and stripped in ("else", "} else") else last
        position += len(line)


def mutations_of(file, text):
    """All mutations of a file, in its order."""
    masked = mask(text)
    bodies = list(functions(masked))
    found = set()
    for name, is_bool, start, end in bodies:
        for change in (*in_expressions(masked, start, end), *in_conditions(text, masked, start, end),
                       *in_returns(text, masked, is_bool, start, end), *in_statements(text, masked, start, end)):
            found.add((*change, name))
    outside = masked
    for _, _, start, end in bodies:
        outside = outside[:start] + blank(outside[start:end]) + outside[end:]
    for number in NUMBER.finditer(outside):
        found.update((number.start(), number.end(), new, "-") for new in number_changes(number))
    for start, end, new, name in sorted(found):
        first, last = text.rfind("\n", 0, start) + 1, text.find("\n", end)
        yield Mutation(file, start, end, new, text.count("\n", 0, start) + 1, name, squeeze(text[first:last]),
                       squeeze(text[first:start] + new + text[end:last]))


EXAMPLE = '''/* if (a < b) */
#define N 4
enum { LIMIT = 10 };
static bool f(int a, const char *s)
{
	int b = 1; // a == b
	assert(a < 7);
	if (a && !s)
		call(a,
			"x < 1");
	else
		x->n += a;
	free(s);
	while (a > 0)
		a--;
	return a && b;
}
'''


def self_test():
    """The number of checks that failed."""
    got = {(m.function, m.before, m.after) for m in mutations_of("f.c", EXAMPLE)}
    want = {
        ("-", "enum { LIMIT = 10 };", "enum { LIMIT = 11 };"),
        ("-", "enum { LIMIT = 10 };", "enum { LIMIT = 9 };"),
        ("f", "int b = 1; // a == b", "int b = 2; // a == b"),
        ("f", "int b = 1; // a == b", "int b = 0; // a == b"),
        ("f", "if (a && !s)", "if (a || !s)"),
        ("f", "if (a && !s)", "if (a && s)"),
        ("f", "if (a && !s)", "if (!(a && !s))"),
        ("f", "if (a && !s)", "if (false && (a && !s))"),
        ("f", 'call(a, "x < 1");', ";"),
        ("f", "x->n += a;", ";"),
        ("f", "x->n += a;", "x->n -= a;"),
        ("f", "while (a > 0)", "while (a >= 0)"),
        ("f", "while (a > 0)", "while (a <= 0)"),
        ("f", "while (a > 0)", "while (a > 1)"),
        ("f", "a--;", "a++;"),
        ("f", "a--;", ";"),
        ("f", "return a && b;", "return a || b;"),
        ("f", "return a && b;", "return !(a && b);"),
    }
    for line in sorted(got - want):
        print(f"mutations: not wanted: {line}")
    for line in sorted(want - got):
        print(f"mutations: missing: {line}")
    lines = EXAMPLE.count("\n")
    moved = [m for m in mutations_of("f.c", EXAMPLE) if m.apply(EXAMPLE).count("\n") != lines]
    return len(got ^ want) + len(moved)
