/* Functions of another file, which are inlined. */
namespace geometry
{
struct Box {
    int width, height;
    __forceinline int area() const
    {
        return width * height;
    }
    template <class T> __forceinline T scaled(T by) const
    {
        return (T)area() * by;
    }
};
namespace
{
__forceinline int square(int n)
{
    sink = n;
    return n * n;
}
} // namespace
} // namespace geometry
