"""Random multipart forms and what Python's email package reads in them, for
test_web_multipart_oracle.c:

    multipart_forms.py SEED COUNT

Each form is a line `BODY_BYTES WANT_BYTES`, the body, and the parts as name, filename, type and
data, each as `LENGTH:bytes`; a form without an end wants `!`.

Python takes a bare CR or LF for a line end, wants nothing behind the last delimiter and reads
delimiters in a row as one; the crash reporters' grammar does not.  Forms whose delimiters the two
would see in different places are left out: they are cases of test_web_multipart.c.
"""
import email
import random
import re
import sys

PIECES = [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"-", b"--", b"--XX", b"--XX--", b"\r\n--XX", b"\r\n--XXY\r\n", b"XX",
          b" ", b"\t", b"x", b"\0", b"\xff\xfe", b"Content-Type: a/b", b"MDMP" * 9]
OURS = re.compile(rb"(?:(?<=\r\n)|\A)--XX(?:--|[ \t]*\r\n)")
PYTHONS = re.compile(rb"(?:(?<=[\r\n])|\A)--XX(?:--)?[ \t]*(?:\r\n|\r|\n|\Z)")
IN_A_ROW = re.compile(rb"(?:(?<=\n)|\A)--XX[ \t]*\r\n--XX")
NAMES = ['"a"', "ProductName", '"a b"', '"q\\"q"', '"back\\\\slash"', '"semi;colon=x"', '""', '"%41%22"', '"--XX"']


def data(rng):
    return b"".join(rng.choice(PIECES) for _ in range(rng.choice([0, 0, 1, 2, 3, 8, 40])))


def header_block(rng):
    lines = []
    if rng.random() < 0.95:
        colon, fold = rng.choice([": ", ":", ": "]), rng.choice([" ", "\r\n ", " \r\n\t", ""])
        line = rng.choice(["Content-Disposition", "content-disposition", "CONTENT-DISPOSITION"]) + colon + "form-data"
        if rng.random() < 0.9:
            line += f";{fold}name={rng.choice(NAMES)}"
        line += rng.choice(["", "", ';filename=x.dmp', '; filename="x y.dmp"', '; filename=""',
                            "; filename*=utf-8''a%20%C3%A9", "; filename*=iso-8859-1'de'%e9"])
        lines.append(line)
    lines += rng.sample(["Content-Type: application/octet-stream", "Content-Type: text/plain; charset=utf-8",
                         "content-type:application/json", "X-Other: 1", "Content-Transfer-Encoding: binary"],
                        rng.randrange(3))
    # Which of two types counts is not Python's to say.
    while sum(line.lower().startswith("content-type") for line in lines) > 1:
        lines.pop()
    rng.shuffle(lines)
    return "".join(line + "\r\n" for line in lines).encode()


def form(rng):
    out = rng.choice([b"", b"", b"\r\n", b"preamble\r\n", data(rng) + b"\r\n"])
    made = []
    for _ in range(rng.randrange(5)):
        made.append(len(out))
        out += b"--XX" + rng.choice([b"", b"", b" ", b"\t \t"]) + b"\r\n" + header_block(rng) + b"\r\n"
        # The empty line may also be the line end of the delimiter.
        out += b"" if rng.random() < 0.2 else data(rng) + b"\r\n"
    if rng.random() < 0.95:
        made.append(len(out))
        out += b"--XX--" + rng.choice([b"", b"\r\n", b" \r\n", b"\r\nepilogue " + data(rng)])
    return out, made


def parts(body):
    message = email.message_from_bytes(b"Content-Type: multipart/form-data; boundary=XX\r\n\r\n" + body)
    for part in message.get_payload() if message.is_multipart() else []:
        name = part.get_param("name", "", "content-disposition")
        filename = part.get_param("filename", "", "content-disposition")
        if isinstance(filename, tuple):
            filename = email.utils.collapse_rfc2231_value(filename)
        kind = re.sub(r"\r\n[ \t]", " ", part.get("content-type", "text/plain"))
        yield name.encode(), filename.encode(), kind.encode(), part.get_payload(decode=True)


def places(pattern, body):
    """Starts of delimiters up to the last one."""
    found = []
    for match in pattern.finditer(body):
        found.append(match.start())
        if match[0].startswith(b"--XX--"):
            return found, True
    return found, False


def main():
    rng, left = random.Random(int(sys.argv[1])), int(sys.argv[2])
    while left:
        body, made = form(rng)
        ours, theirs = places(OURS, body), places(PYTHONS, body)
        # Data that happen to make a delimiter are followed by data, not by headers.
        if ours != theirs or not ours[0] or ours[0] != made or IN_A_ROW.search(body):
            continue
        want = b"".join(b"%d:%s" % (len(x), x) for part in parts(body) for x in part) if ours[1] else b"!"
        sys.stdout.buffer.write(b"%d %d\n" % (len(body), len(want)) + body + want)
        left -= 1


main()
