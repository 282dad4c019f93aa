/* Calls inlined through each other, from namespaces, classes and another file; frames of 32-bit code. */
#define EXPORT extern "C" __declspec(dllexport)
volatile int sink;
#include "inlined.h"

template <int N> struct Ring {
    union Slot {
        int number;
        __forceinline int twice() { return number + number + sink; }
    };
    Slot slots[N];
    __forceinline int sum()
    {
        int all = 0;
        for (int i = 0; i < N; i++)
            all += slots[i].twice();
        return all;
    }
};

static __forceinline int outer(const geometry::Box &b)
{
    int n = geometry::square(b.area());
    if (n > 100)
        n -= geometry::square(n) + b.scaled(3);
    sink += n;
    return n;
}

__declspec(noinline) int leaf(int a, int b, int c)
{
    volatile char bytes[40];
    bytes[a & 31] = (char)b;
    geometry::Box box = {a, c};
    return bytes[c & 31] + outer(box);
}

EXPORT int start(int a, int b)
{
    Ring<5> ring;
    int all = 0;
    for (int i = 0; i < 5; i++)
        ring.slots[i].number = leaf(i, b, a);
    for (int i = 0; i < a; i++) {
        geometry::Box box = {i, b};
        all += outer(box) + ring.sum();
        [&] { sink = all + leaf(i, a, b); }();
    }
    return all;
}
