/* Functions that compilers give no linkage name: lambdas, local classes, anonymous namespaces. */
#include <cstdio>
#include <cstdlib>
#include <string>

template <class F> __attribute__((noinline)) int call(F f)
{
    return f(3) + 1;
}

template <class F> inline int call_inline(F f)
{
    return f(3) * 2;
}

namespace
{
struct Hidden {
    int x;
    __attribute__((noinline)) int get(int a) const
    {
        return x * a;
    }
    inline int divided(unsigned long a, const char *, void (*)(short)) const
    {
        return (int)(x / a);
    }
};
__attribute__((noinline)) int hidden(int a)
{
    return a * rand();
}
inline int hidden_inline(const std::string &s)
{
    return (int)s.size() % rand();
}
} // namespace

namespace outer
{
int method(int argc)
{
    struct Local {
        int m;
        inline int inlined(int a)
        {
            return m - a * rand();
        }
        __attribute__((noinline)) int called(int a)
        {
            return m ^ a;
        }
    } loc{argc};
    auto in_namespace = [&](Local *l) { return l->inlined(rand()); };
    return loc.inlined(2) + loc.called(3) + in_namespace(&loc);
}
} // namespace outer

int main(int argc, char **)
{
    auto one = [&](int a) { return a + argc * rand(); };
    auto two = [=](int a) { return a * argc - rand(); };
    auto generic = [](auto a) { return a + rand(); };
    int r = one(2) + two(3) + call_inline(one) + call_inline(two) + call(one) + call(two);
    r += generic(4) + (int)generic(2.5);
    auto nested = [&](int z) {
        auto inside = [&](long q) { return q * z + rand(); };
        return (int)inside(2) + (int)inside(3) + one(1);
    };
    Hidden h{r};
    r += nested(4) + h.get(argc) + h.divided((unsigned long)argc, "", nullptr) + hidden(r);
    r += hidden_inline(std::to_string(r)) + outer::method(r);
    printf("%d\n", r);
    return r;
}
