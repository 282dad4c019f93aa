#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <time.h>

#include "lib/base/fs.h"
#include "lib/base/util.h"
#include "lib/signature/patterns.h"
#include "lib/signature/signature.h"
#include "tests/unit/json_doc.h"

static struct siglists *lists;

static int load_lists(void **state)
{
    (void)state;
    struct err err = {0};
    if (!siglists_load(NULL, &lists, &err))
        print_error("%s\n", err.msg);
    return lists ? 0 : -1;
}

static int free_lists(void **state)
{
    (void)state;
    siglists_free(lists);
    return 0;
}

static const struct {
    const char *patterns, *text;
    bool want;
} pattern_cases[] = {
    {"abc", "abcd", true},
    {"abc", "abc", true},
    {"abc", "ab", false},
    {"abc", "xabc", false},
    {"abc", "", false},
    {"b\nabc\nabcdef\nabcdee", "abcx", true},
    {"abcdef\nabc\nab", "ab", true},
    {"foo\nfoobar\nfo", "fp", false},
    {"# abc\n\n   def  \n", "def", true},
    {"# abc", "# abc", false},
    {"a\\.b", "a.b", true},
    {"a\\.b", "axb", false},
    {"\\<name\\>", "<name>x", true},
    {"a.b", "axb", true},
    {"a.b", "a\nb", false},
    {".*\\.dll", "IGD.dll", true},
    {".*\\.dll", "x\n.dll", false},
    {"<.*>::operator()", "<T>::operator+", true},
    {"mozilla.*FatalError", "mozilla::ipc::FatalErrors", true},
    {"mozilla.*FatalError", "xmozilla FatalError", false},
    {"a.*b.*c", "a--c--b", false},
    {"a.*b.*c", "a--b--c", true},
    {"a.*", "a", true},
    {"ab*c", "ac", true},
    {"ab*c", "abbc", true},
    {"ab?c", "ac", true},
    {"ab+c", "ac", false},
    {"x{2,}", "xx", true},
    {"x{2,}", "x", false},
    {"{virtual override thunk}", "{virtual override thunk}", true},
    {"a::{{closure}}", "a::{{closure}}::b", true},
    {"[-+]\\[NS", "-[NSApp", true},
    {"[^a]b", "ab", false},
    {"(a|b)c", "bc", true},
    {"a|b", "b", true},
    {"a|b", "xb", false},
    {"Call$", "Call", true},
    {"Call$", "Call::x", false},
    {"Call$", "Call\n", false},
    {"\\d\\w\\s", "1_ ", true},
    {"\\d", "\xd9\xa1", false}, /* an Arabic digit is none */
    {"a\\+b", "a+b", true},
    {"()a", "a", true},
    {"(a)*b", "aab", true},
    {"\\(anonymous namespace\\)::W", "(anonymous namespace)::W", true},
};

static void test_patterns(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pattern_cases); i++) {
        struct patterns *p = NULL;
        struct err err = {0};
        if (!patterns_compile(str_of(pattern_cases[i].patterns), "t", &p, &err))
            fail_msg("%s: %s", pattern_cases[i].patterns, err.msg);
        if (patterns_match(p, str_of(pattern_cases[i].text)) != pattern_cases[i].want)
            fail_msg("'%s' on '%s'", pattern_cases[i].patterns, pattern_cases[i].text);
        patterns_free(p);
    }
}

static void test_bad_pattern(void **state)
{
    (void)state;
    struct patterns *p = NULL;
    struct err err = {0};
    assert_false(patterns_compile(STR("ok\n# c\n(a|b\n"), "list.txt", &p, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.msg, "list.txt:3"));
    assert_null(p);
    assert_false(patterns_compile(STR("[a"), "x", &p, &err));
    assert_false(patterns_compile(STR("a**b)"), "x", &p, &err));
}

/* A pattern made to explode meets its limit, and soon. */
static void test_backtracking_is_limited(void **state)
{
    (void)state;
    struct patterns *p = NULL;
    struct err err = {0};
    assert_true(patterns_compile(STR("(a*)*(a*)*b"), "t", &p, &err));
    char text[5000];
    memset(text, 'a', sizeof text);
    clock_t start = clock(); /* of this process: others may keep the machine busy */
    assert_false(patterns_match(p, str_n(text, sizeof text)));
    assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
    patterns_free(p);
}

static const struct {
    const char *function, *want; /* "R:" in front: the file is a Rust source */
} function_cases[] = {
    {"static void * Pool<Chunk>::grab(unsigned __int64)", "Pool<T>::grab"},
    {"bool Tree::walk(class Node & const)", "Tree::walk"},
    {"ns::Opt<int>::value() const &", "ns::Opt<T>::value"},
    {"ns::Opt<int>::value() const &&", "const"},
    {"Heap<Obj*>::operator Obj* const &()", "Heap<T>::operator Obj* const&"},
    {"A::operator()(int) const", "A::operator()"},
    {"A::operator<(A const&)", "A::operator<"},
    {"std::operator<< <char>(S&, char)", "std::operator<< <char>"},
    {"`anonymous namespace'::Task::run(int) ", "(anonymous namespace)::Task::run"},
    {"`anonymous namespace'::Task::run(int)", "(anonymous namespace)::Task::run"},
    {"foo()::{lambda(int)#1}::operator()(int) const", "foo::{lambda#1}::operator()"},
    {"Work::$_52::__invoke(void*)", "Work::$::__invoke"},
    {"a::$_1::$_2::b", "a::$::$_2::b"},
    {"a::$_x::b", "a::$_x::b"},
    {"IPC::ParamTraits<Arr<Mat<int>>>::Read(R*)", "IPC::ParamTraits<Arr<T>>::Read"},
    {"X::Init() [clone .cold.638]", "X::Init "},
    {"js::F(C*) [clone .isra.2]", "js::F [clone .isra.2]"},
    {"<unknown in foo.pdb>", "<unknown in foo.pdb>"},
    {"<name omitted>", "<name omitted>"},
    {"const", ""},
    {"&", ""},
    {"f(", "f"},
    {"a<b", "a<T>"},
    {"int f (int a , int *b)", "f "},
    {"operator new(unsigned int)", "new"},
    {"Foo<A ,B>::f", "Foo<T>::f"},
    {"A::operator std::pair<int ,int >", "A::operator std::pair<T>"},
    {"a,b", "a, b"},
    {"`, &::b", "`, &::b"},
    {"`a ,*b , c", "`a, *b, c"},
    {"IPC::ParamTraits<A<b>\xc3\xa9", "IPC::ParamTraits<A<T>>"},
    {"js_Interpret(JSContext*)", "js_Interpret:42"},
    {"R:static void core::ptr::drop_in_place<Vec<u8>>(struct Vec<u8>*)",
     "core::ptr::drop_in_place<T>"},
    {"R:<job::Heap<B> as job::Job>::execute::h0123456789abcdef",
     "<job::Heap<B> as job::Job>::execute"},
    {"R:a::b::hxyz", "a::b::hxyz"},
    {"R:a::b::h", "a::b::h"},
    {"R:panic_fmt", "panic_fmt"},
};

static void test_functions(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(function_cases); i++) {
        const char *function = function_cases[i].function;
        bool is_rust = strncmp(function, "R:", 2) == 0;
        json_auto_t *frame =
            json_pack("{s:s, s:s, s:i}", "function", is_rust ? function + 2 : function, "file",
                      is_rust ? "hg:h:src/x.rs:1" : "hg:h:src/x.cpp:1", "line", 42);
        json_auto_t *got = signature_frame_text(lists, frame);
        if (strcmp(json_string_value(got), function_cases[i].want) != 0)
            fail_msg("%s: got '%s'", function, json_string_value(got));
    }
}

static const struct {
    const char *frame, *want;
} frame_cases[] = {
    {"{}", ""},
    {"null", ""},
    {"[]", ""},
    {"{'truncated':{'msg':'7 frames truncated'}}", ""},
    {"{'function':'','file':'a/b.c','line':12}", "b.c#12"},
    {"{'file':'D:\\\\x\\\\b.c','line':'12'}", "b.c#12"},
    {"{'file':'hg:hg.mozilla.org/x:dir/foo.cpp:9a1c2b7d0e55','line':12}",
     "foo.cpp:9a1c2b7d0e55#12"},
    {"{'file':'a/b/\\\\','line':1}", "b#1"},
    {"{'file':'b.c','line':0,'module':'m'}", "m"},
    {"{'file':'b.c','module':'m'}", "m"},
    {"{'module':'[vdso]','offset':'0x1'}", "vdso"},
    {"{'module':'[[x]a]','offset':'0x1'}", "x]a"},
    {"{'module':'[]','offset':'0x1'}", ""},
    {"{'module':'Foo.DLL'}", "Foo.DLL"},
    {"{'unloaded_modules':[{'module':'a.dll','offsets':['0x1']},{'module':'b'}]}",
     "(unloaded a.dll)"},
    {"{'unloaded_modules':[{'offsets':[]}],'offset':'0x1'}", "(unloaded None)"},
    {"{'unloaded_modules':[],'offset':'0x0000000000005387'}", "@0x5387"},
    {"{'offset':'40'}", "@0x40"},
    {"{'offset':'0x0'}", "@0x0"},
    {"{'offset':'0X00AB'}", "@0xab"},
    {"{'offset':'xyz'}", "@xyz"},
    {"{'offset':'0x000011112222333344445555'}", "@0x11112222333344445555"},
    {"{'file':'git:github.com/rust-lang/rust:src/libcore/panicking.rs:1','function':'panic',"
     "'line':1}",
     "core::panicking::panic"},
    {"{'file':'/rustc/1/src/x.rs','function':'a<b>::c'}", "a<T>::c"},
    {"{'file':'x.rs','function':'f(x)::g'}", "f::g"},
    {"{'function':'js_Interpret'}", "js_Interpret:None"},
    {"{'function':'js_Interpret','line':'7'}", "js_Interpret:7"},
    {"{'function':7,'module':'m'}", "m"},
};

static void test_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(frame_cases); i++) {
        FREE_LATER char *text = xstrdup(frame_cases[i].frame);
        for (char *p = text; *p; p++)
            if (*p == '\'')
                *p = '"';
        json_auto_t *frame = json_loads(text, JSON_DECODE_ANY, NULL);
        json_auto_t *got = signature_frame_text(lists, frame);
        if (strcmp(json_string_value(got), frame_cases[i].want) != 0)
            fail_msg("%s: got '%s'", frame_cases[i].frame, json_string_value(got));
    }
}

#define F(name)         "{'function':'" name "'}"
#define THREADS(frames) "'threads':[{'frames':[" frames "]}]"

static const struct {
    const char *label, *data, *signature;
    const char *notes; /* joined by "; " */
} whole_cases[] = {
    {"abort message",
     "{'abort_message':'[12] ###!!! ABORT: Bad state: file x.cpp, line 9'," THREADS(
         F("mozalloc_abort(char const*)") "," F("Abort(char const*)") "," F("NS_DebugBreak") "," F(
             "ns::Foo::Bar(int)")) "}",
     "Abort | Bad state | Abort | NS_DebugBreak | ns::Foo::Bar", ""},
    {"Windows modules, repeated",
     "{'os':'Windows NT'," THREADS("{'module':'IGD10IUMD64.dll'},{'module':'IGD10IUMD64.dll'},"
                                   "{'module':'IGD10IUMD64.dll'}," F("Draw()")) "}",
     "igd10iumd64.dll | Draw", ""},
    {"sentinel",
     "{" THREADS(
         F("RtlFailFast2") "," F("core::panicking::panic_fmt") "," F("gfx::Batch::add")) "}",
     "gfx::Batch::add", ""},
    {"watchdog",
     "{'crashing_thread':1,'threads':[{'frames':[" F("NtWaitForAlertByThreadId") "," F(
         "nsThreadManager::SpinEventLoopUntilInternal(x)") "]},{'frames':[" F("mozilla::("
                                                                              "anonymous "
                                                                              "namespace)::"
                                                                              "RunWatchdog("
                                                                              "void*)") "]}]}",
     "shutdownhang | nsThreadManager::SpinEventLoopUntilInternal", ""},
    {"no dump at all", "{'mdsw_status_string':'EmptyMinidump'}",
     "EMPTY: no frame data available; EmptyMinidump",
     "SignatureGenerationRule: CSignatureTool: no frame data for crashing thread (0)"},
    {"everything in front",
     "{'oom_allocation_size':300000,'reason':'EXCEPTION_STACK_OVERFLOW','hang':'ui',"
     "'ipc_message_name':'n'," THREADS(F("F")) "}",
     "hang: ui | stackoverflow | OOM | large | F | IPC_Message_Name=n", ""},
    {"only irrelevant frames", "{" THREADS(F("RtlFailFast2")) "}", "RtlFailFast2",
     "SignatureGenerationRule: CSignatureTool: no frame data for crashing thread (0)"},
    {"thread outside", "{'crashing_thread':7," THREADS(F("F")) "}",
     "EMPTY: no frame data available",
     "SignatureGenerationRule: CSignatureTool: no frame data for crashing thread (7)"},
    {"thread as text", "{'crashing_thread':'0'," THREADS(F("F")) "}", "F", ""},
    {"thread as rubbish", "{'crashing_thread':'x'," THREADS(F("F")) "}", "F", ""},
    {"inlines first",
     "{" THREADS(
         "{'function':'Outer','inlines':[{'function':'memcpy(x)'},{'function':'In<x>'}]}") "}",
     "memcpy | In<T>", ""},
    {"null frames", "{'threads':[{'frames':null}]}", "EMPTY: no frame data available",
     "SignatureGenerationRule: CSignatureTool: no frame data for crashing thread (0)"},
    {"a null frame is skipped", "{'threads':[{'frames':[null," F("F") "]}]}", "F", ""},
    {"bad hardware", "{'reason':'x STATUS_DEVICE_DATA_ERROR'," THREADS(F("F")) "}",
     "bad hardware | F", ""},
    {"small allocation", "{'oom_allocation_size':262144," THREADS(F("F")) "}", "OOM | small", ""},
    {"unknown allocation", "{" THREADS(F("NS_ABORT_OOM") "," F("F")) "}",
     "OOM | unknown | NS_ABORT_OOM | F", ""},
    {"size 0 and a reason",
     "{'oom_allocation_size':0,'reason':'STATUS_NO_MEMORY'," THREADS(F("F")) "}", "OOM | small",
     ""},
    {"size 0 alone", "{'oom_allocation_size':0," THREADS(F("F")) "}", "F", ""},
    {"last error",
     "{'threads':[{'last_error_value':'ERROR_COMMITMENT_LIMIT','frames':[" F("F") "]}]}",
     "OOM | unknown | F", ""},
    {"JavaScript allocation",
     "{'js_large_allocation_failure':'Reporting','oom_allocation_size':1," THREADS(F("F")) "}",
     "OOM | large | F", ""},
    {"abort at a file only", "{'abort_message':'###!!! ABORT: file x.cpp'," THREADS(F("F")) "}",
     "Abort | F", ""},
    {"font list", "{'abort_message':'unable to find a usable font (a) (b)'," THREADS(F("F")) "}",
     "Abort | unable to find a usable font | F", ""},
    {"parentheses the wrong way round",
     "{'abort_message':')unable to find a usable font('," THREADS(F("F")) "}",
     "Abort | )unable to find a usable fontunable to find a usable font( | F", ""},
    {"long abort message",
     "{'abort_message':'0123456789012345678901234567890123456789012345678901234567890123456789"
     "01234567890'," THREADS(F("F")) "}",
     "Abort | 01234567890123456789012345678901234567890123456789012345678901234567890123456... "
     "| F",
     ""},
    {"shutdown timeout",
     "{'async_shutdown_timeout':'{\\\"phase\\\":\\\"p\\\",\\\"conditions\\\":[{\\\"name\\\":"
     "\\\"b\\\"},\\\"a\\\",1]}'," THREADS(F("F")) "}",
     "AsyncShutdownTimeout | p | 1,a,b",
     "SignatureShutdownTimeout: Signature replaced with a Shutdown Timeout signature, was: "
     "\"F\""},
    {"shutdown without conditions", "{'async_shutdown_timeout':'{\\\"phase\\\":1}'}",
     "AsyncShutdownTimeout | (unknown) | (none)", NULL},
    {"shutdown, bad JSON", "{'async_shutdown_timeout':'{'}", "AsyncShutdownTimeout | UNKNOWN",
     NULL},
    {"shutdown, bad condition",
     "{'async_shutdown_timeout':'{\\\"phase\\\":\\\"p\\\",\\\"conditions\\\":[{}]}'}",
     "AsyncShutdownTimeout | p | UNKNOWN", NULL},
    {"channel error, browser",
     "{'ipc_channel_error':'ShutDownKill','additional_minidumps':['upload_file_minidump_"
     "browser']," THREADS(F("F")) "}",
     "IPCError-browser | ShutDownKill",
     "SignatureIPCChannelError: IPC Channel Error stomped on signature"},
    {"channel error, content", "{'ipc_channel_error':'x'," THREADS(F("F")) "}",
     "IPCError-content | x", "SignatureIPCChannelError: IPC Channel Error stomped on signature"},
    {"empty hang", "{'hang':''," THREADS(F("F")) "}", "hang: | F", ""},
    {"hang is null", "{'hang':null," THREADS(F("F")) "}", "F", ""},
    {"unprintable", "{" THREADS(F("A\\u00e9B\\nC")) "}", "ABC",
     "SigPrintableCharsOnly: unprintable characters removed"},
    {"cold clone", "{" THREADS(F("X::Init() [clone .cold.638]")) "}", "X::Init",
     "SigPrintableCharsOnly: unprintable characters removed"},
    {"Java trace", "{'java_stack_trace':'java.lang.Foo\\n\\tat a.b.c(D.java:12)'}",
     "java.lang.Foo: at a.b.c(D.java)",
     "SignatureGenerationRule: JavaSignatureTool: stack trace line 1 is not in the expected "
     "format"},
    {"Java trace with description",
     "{'java_stack_trace':'X: some text\\r\\n at y(Z.kt:9)\\n at q'}", "X: some text at y(Z.kt:9)",
     ""},
    {"Java trace with an address", "{'java_stack_trace':'X: obj@0a1b2c3d\\n at y(Z.java:9)'}",
     "X: obj@<addr>: at y(Z.java)", ""},
    {"malformed Java trace", "{'java_stack_trace':'malformed'}", "malformed",
     "SignatureGenerationRule: JavaSignatureTool: stack trace line 1 is not in the expected "
     "format; "
     "SignatureGenerationRule: JavaSignatureTool: stack trace line 2 is missing"},
    {"Java trace is no text", "{'java_stack_trace':5}",
     "EMPTY: Java stack trace not in expected format",
     "SignatureGenerationRule: JavaSignatureTool: stack trace not in expected format"},
    {"Java exception",
     "{'java_exception':{'exception':{'values':[{'stacktrace':{'module':'a.b','type':'T','"
     "frames':"
     "[{'module':'m','function':'f','filename':'F.kt'}]}}]}}}",
     "a.b.T: at m.f(F.kt)", ""},
    {"Java exception without frames",
     "{'java_exception':{'exception':{'values':[{'stacktrace':{'module':'a.b'}}]}}}", "a.b.Unknown",
     ""},
    {"Java exception, type null keeps its package",
     "{'java_exception':{'exception':{'values':[{'stacktrace':{'module':'a.b','type':null,"
     "'frames':[{'function':'f'}]}}]}}}",
     "a.b.Unknown: at f", ""},
    {"Java exception, neither package nor type",
     "{'java_exception':{'exception':{'values':[{'stacktrace':{'frames':[{'function':'f'}]}}]}}}",
     "Unknown: at f", ""},
    {"Java exception, empty type",
     "{'java_exception':{'exception':{'values':[{'stacktrace':{'module':'a','type':'',"
     "'frames':[{'function':'f'}]}}]}}}",
     ": at f", ""},
    {"Java exception, unknown frame",
     "{'java_exception':{'exception':{'values':[{'stacktrace':{'type':'T','frames':[{}]}}]}}}",
     "T: at unknown", ""},
    {"Java exception, not in format", "{'java_exception':{'x':1}}",
     "EMPTY: Java exception not in expected format",
     "SignatureGenerationRule: JavaExceptionSignatureTool: value not in expected format"},
    {"not an object", "[]", "EMPTY: no frame data available", NULL},
};

static void check_notes(const char *label, const json_t *notes, const char *want)
{
    STRBUF_AUTO all = {0};
    sb_init(&all, 1 << 20);
    for (size_t i = 0; i < json_array_size(notes); i++)
        sb_printf(&all, "%s%s", i ? "; " : "", json_string_value(json_array_get(notes, i)));
    if (want && strcmp(sb_cstr(&all), want) != 0)
        fail_msg("%s: notes '%s'", label, sb_cstr(&all));
}

static void test_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(whole_cases); i++) {
        json_auto_t *data = doc(whole_cases[i].data);
        struct signature_result r;
        signature_generate(lists, data, &r);
        if (strcmp(json_string_value(r.signature), whole_cases[i].signature) != 0)
            fail_msg("%s: got '%s'", whole_cases[i].label, json_string_value(r.signature));
        check_notes(whole_cases[i].label, r.notes, whole_cases[i].notes);
        signature_result_release(&r);
    }
}

static json_t *long_stack(const char *function, int n)
{
    json_t *frames = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(frames, json_pack("{s:s}", "function", function));
    return json_pack("{s:[{s:o}]}", "threads", "frames", frames);
}

static void test_forty_frames_and_length(void **state)
{
    (void)state;
    json_auto_t *data = long_stack("malloc(int)", 100); /* a prefix: the walk goes on */
    struct signature_result r;
    signature_generate(lists, data, &r);
    assert_int_equal(json_array_size(r.frames), 40);
    assert_int_equal(json_string_length(r.proto_signature), 40 * 6 + 39 * 3);
    assert_int_equal(json_string_length(r.signature), 255);
    assert_string_equal(json_string_value(r.signature) + 252, "...");
    check_notes("long", r.notes, "SigTruncate: SigTrunc: signature truncated due to length");
    signature_result_release(&r);
}

static void cluster(const char *frames, char out[SIGNATURE_CLUSTER_SIZE])
{
    json_auto_t *list = json_array();
    struct str rest = str_of(frames), one;
    while (str_split(&rest, ';', &one))
        json_array_append_new(list, jtext(one));
    if (!signature_cluster_key(lists, list, out))
        out[0] = '\0';
}

/* Ten frames that say something, whatever lies between and below; whole, and in order. */
static void test_clusters(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool is_same;
    } cases[] = {
        {"x;y", "x;y", true},
        {"x;y", "y;x", false},
        {"x;y", "xy", false},
        {"x;y", "x;libutils.so;y", true}, /* a list has it as irrelevant */
        {"x;y", "x;@0x12;;y", true},
        {"x;x;x;y", "x;y", true},
        {"x;y;x", "x;y", false},
        {"a;b;c;d;e;f;g;h;i;j;k", "a;b;c;d;e;f;g;h;i;j;l;m", true},
        {"a;b;c;d;e;f;g;h;i;j", "a;b;c;d;e;f;g;h;i;k", false},
    };
    char a[SIGNATURE_CLUSTER_SIZE], b[SIGNATURE_CLUSTER_SIZE];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cluster(cases[i].a, a);
        cluster(cases[i].b, b);
        if (strlen(a) != 32 || (strcmp(a, b) == 0) != cases[i].is_same)
            fail_msg("%s: %s, %s: %s", cases[i].a, a, cases[i].b, b);
    }
    cluster("libutils.so;@0x0;", a);
    assert_string_equal(a, "");
    char long_name[2][1002];
    for (int i = 0; i < 2; i++) {
        memset(long_name[i], 'n', 1000);
        long_name[i][1000] = (char)('0' + i);
        long_name[i][1001] = '\0';
    }
    cluster(long_name[0], a);
    cluster(long_name[1], b);
    assert_string_not_equal(a, b);
}

/* Texts made to be slow: each must stay within a second, all forty frames together. */
static void test_hostile_functions(void **state)
{
    (void)state;
    static const char *const pieces[] = {"<",
                                         "(",
                                         "a ",
                                         "IPC::ParamTraits<",
                                         "::$_1",
                                         "[clone ",
                                         "libandroid_runtime",
                                         "& const",
                                         "\xc3\xa9",
                                         "`",
                                         "<(["};
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        STRBUF_AUTO name = {0};
        sb_init(&name, 200000);
        while (!name.overflow)
            sb_text(&name, pieces[i]);
        name.n = utf8_prefix_bytes(sb_view(&name), name.n - 8);
        name.p[name.n] = 0;
        json_auto_t *data = long_stack(name.p, 60);
        struct signature_result r;
        clock_t start = clock();
        signature_generate(lists, data, &r);
        assert_true(json_string_length(r.signature) <= 255);
        signature_result_release(&r);
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        if (seconds > 1.5)
            fail_msg("'%s' took %.1f s", pieces[i], seconds);
    }
}

static void test_crash_data(void **state)
{
    (void)state;
    json_auto_t *processed =
        doc("{'signature':'old','oom_allocation_size':'12','crashing_thread':9,'hang':'ui',"
            "'json_dump':{'crash_info':{'crashing_thread':1,'type':'SIGSEGV'},"
            "'system_info':{'os':'Linux'},'threads':[{},{'frames':[{'function':'F'}]}]}}");
    json_auto_t *want = doc("{'original_signature':'old','oom_allocation_size':12,"
                            "'crashing_thread':1,'hang':'ui','reason':'SIGSEGV','os':'Linux',"
                            "'threads':[{},{'frames':[{'function':'F'}]}]}");
    json_auto_t *got = signature_crash_data(processed);
    assert_true(json_equal(got, want));
    json_auto_t *empty = signature_crash_data(NULL);
    assert_int_equal(json_object_size(empty), 2);
}

static void test_list_directory(void **state)
{
    (void)state;
    char dir[] = "/tmp/datil-test-XXXXXX", path[128];
    static const char *const files[][2] = {
        {"irrelevant_signature_re.txt", "skip\n"},
        {"prefix_signature_re.txt", "pre\n"},
        {"signature_sentinels.txt", "# none\n"},
        {"signatures_with_line_numbers_re.txt", "big$\n"},
    };
    struct siglists *own = NULL;
    struct err err = {0};
    assert_non_null(mkdtemp(dir));
    assert_false(siglists_load(dir, &own, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i][0]);
        assert_true(fs_write_atomic(path, files[i][1], strlen(files[i][1]), 0600, &err));
    }
    if (!siglists_load(dir, &own, &err))
        fail_msg("%s", err.msg);
    json_auto_t *data = doc("{" THREADS(F("skip") "," F("pre") "," F("big") "," F("x")) "}");
    struct signature_result r;
    signature_of_stack(own, data, &r);
    assert_string_equal(json_string_value(r.signature), "pre | big:None");
    assert_string_equal(json_string_value(r.proto_signature), "skip | pre | big:None | x");
    char line[160];
    snprintf(line, sizeof line, "using signature lists from %s", dir);
    assert_string_equal(json_string_value(json_array_get(r.debug, 0)), line);
    signature_result_release(&r);
    siglists_free(own);
    fs_remove_tree(dir, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_bad_pattern),
        cmocka_unit_test(test_backtracking_is_limited),
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_forty_frames_and_length),
        cmocka_unit_test(test_clusters),
        cmocka_unit_test(test_hostile_functions),
        cmocka_unit_test(test_crash_data),
        cmocka_unit_test(test_list_directory),
    };
    return cmocka_run_group_tests(tests, load_lists, free_lists);
}
