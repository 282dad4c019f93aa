// Functions worth dumping: templates, namespaces, inlining in several levels,
// exceptions (which give cold parts and landing pads), lambdas and recursion.
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

extern "C" int plain_c(int, const char *);

namespace geometry {
namespace {
inline int square(int x) { return x * x; }
inline int sum_of_squares(int x, int y) { return square(x) + square(y); }
} // namespace

struct point {
    int x, y;
    __attribute__((noinline)) int norm() const { return sum_of_squares(x, y); }
    template <typename T> __attribute__((noinline)) T scaled(T by) const { return by * (x + y); }
};

template <typename T> class grid {
  public:
    explicit grid(size_t n) : cells(n) {}
    __attribute__((noinline)) T at(size_t i) const
    {
        if (i >= cells.size())
            throw std::out_of_range("grid index " + std::to_string(i));
        return cells[i];
    }
    void set(size_t i, T v) { cells.at(i) = v; }

  private:
    std::vector<T> cells;
};
} // namespace geometry

static __attribute__((noinline)) int recursive(int n)
{
    return n < 2 ? n : recursive(n - 1) + recursive(n - 2);
}

__attribute__((noinline)) int risky(geometry::grid<int> &g, int i)
{
    try {
        return g.at((size_t)i);
    } catch (const std::out_of_range &e) {
        std::fprintf(stderr, "%s\n", e.what());
        return -1;
    }
}

__attribute__((noinline)) int big_frame(int n)
{
    volatile char room[5000];
    room[n] = (char)n;
    return room[n] + n;
}

int main(int argc, char **argv)
{
    geometry::grid<int> g(8);
    auto add = [&g](int i) { g.set((size_t)i, i * i); };
    for (int i = 0; i < argc && i < 8; i++)
        add(i);
    geometry::point p{argc, 3};
    int total = p.norm() + recursive(argc + 3) + risky(g, argc * 3) + big_frame(argc);
    total += plain_c(total, argv[0]) + (int)p.scaled(1.5) + (int)p.scaled(2L);
    if (total == 12345)
        std::abort();
    return total & 1;
}
