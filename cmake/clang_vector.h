// Lets clang read libtorch's headers as C++20 with libstdc++: libtorch has members of type
// std::vector<T> with T still incomplete, which clang refuses where vector's members are constexpr.
// They are needed in no constant expression here, so they are declared inline instead.
#include <string>
#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR inline
#define __fill_a1 __fill_a1_of_bits  // was declared constexpr before: std::fill for vector<bool>
#include <vector>
#undef __fill_a1
#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR constexpr
