/* One source for Windows and macOS: the kinds of frames that their compilers make. */
#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif
#define APART __attribute__((noinline))

int sink;

APART int leaf(int a)
{
    return a * 3;
}

APART static int many_registers(int *p, int n, int a, int b)
{
    int s = 0;
    for (int i = 0; i < n; i++)
        s += leaf(p[i]) * a + leaf(s) * b;
    return s;
}

/* Its size is known only when it runs: a frame register. */
APART static int dynamic(int n)
{
    volatile char *p = __builtin_alloca((unsigned long long)n & 63);
    p[0] = (char)n;
    return leaf(p[0]) + leaf(n);
}

EXPORT int exported(int n)
{
    int buffer[200];
    for (int i = 0; i < 200; i++)
        buffer[i] = n + i;
    sink = many_registers(buffer, 64, n, 2 * n);
    return sink + dynamic(n);
}

EXPORT APART int last(int n)
{
    return exported(n) + leaf(n);
}
