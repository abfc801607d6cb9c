// A small bitmap font for labels inside pictures. No torch here.
#pragma once

#include <string>
#include <string_view>

namespace retort::report {

inline constexpr int kGlyphWidth = 5;     ///< pixels of a character; one more lies between two
inline constexpr int kGlyphHeight = 9;    ///< rows with the tails of g, j, p, q, y
inline constexpr int kCapitalHeight = 7;  ///< rows above the base line

/// UTF-8 text as the font can draw it: one byte a character, 127 (a box) where it has none.
std::string printable(std::string_view text);

/// Whether the pixel at column x and row y of a character is drawn.
bool has_ink(char character, int x, int y);

}  // namespace retort::report
