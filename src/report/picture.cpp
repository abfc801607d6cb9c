// Grids of images with class names. No torch here.
#include "report/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <stdexcept>
#include <string_view>

#include "core/sizes.h"
#include "report/font.h"

namespace retort::report {
namespace {

using Colour = std::array<uint8_t, 3>;
constexpr Colour kGround = {22, 25, 31};
constexpr Colour kInk = {226, 230, 236};
constexpr int64_t kBlockGap = 24;  // between two columns of classes
constexpr int64_t kWidest = 1000;  // columns of classes are added up to this width
constexpr std::array<size_t, 4> kLabelLengths = {18, 24, 36, 60};  // characters; longer are cut

/// Where everything lies. A block is a column of classes; all blocks are equally wide.
struct Layout {
  int64_t scale, text_scale;
  int64_t cell_width, cell_height;  // one image, drawn
  int64_t label_width;              // with the space to the images
  int64_t block_width, row_height;
  int64_t blocks, rows_per_block;

  int64_t left(int64_t row) const {
    return kGridMargin + row / rows_per_block * (block_width + kBlockGap);
  }
  int64_t top(int64_t row) const { return kGridMargin + row % rows_per_block * row_height; }
};

class Canvas {
 public:
  explicit Canvas(Picture& picture) : picture_(picture) {}

  void fill(int64_t left, int64_t top, int64_t width, int64_t height, Colour colour) {
    for (int64_t y = top; y < top + height; ++y)
      for (int64_t x = left; x < left + width; ++x) put(x, y, colour);
  }

  void text(int64_t left, int64_t top, int64_t scale, std::string_view text) {
    for (const char character : text) {
      for (int y = 0; y < kGlyphHeight; ++y)
        for (int x = 0; x < kGlyphWidth; ++x)
          if (has_ink(character, x, y)) fill(left + x * scale, top + y * scale, scale, scale, kInk);
      left += (kGlyphWidth + 1) * scale;
    }
  }

 private:
  void put(int64_t x, int64_t y, Colour colour) {
    uint8_t* pixel = picture_.pixels.data() + (y * picture_.width + x) * picture_.channels;
    for (int64_t c = 0; c < picture_.channels; ++c) pixel[c] = colour.data()[c];
  }
  Picture& picture_;
};

/// The middle of long names is left out: they differ at their ends more often.
std::string shortened(const std::string& text, size_t length) {
  if (text.size() <= length) return text;
  const size_t tail = (length - 2) / 2;
  return text.substr(0, length - 2 - tail) + ".." + text.substr(text.size() - tail);
}

/// No text but the empty one is there twice.
bool all_differ(const std::vector<std::string>& texts) {
  std::set<std::string> seen;
  return std::all_of(texts.begin(), texts.end(), [&](const std::string& text) {
    return text.empty() || seen.insert(text).second;
  });
}

/// Labels as they are drawn: no two of different rows alike. The shortest length that does it is
/// taken; names that the font cannot tell apart get the number of their row.
std::vector<std::string> shown_labels(const std::vector<GridRow>& rows) {
  std::vector<std::string> shown;
  for (const size_t length : kLabelLengths) {
    shown.clear();
    for (const GridRow& row : rows) shown.push_back(shortened(printable(row.label), length));
    if (all_differ(shown)) return shown;
  }
  for (size_t i = 0; i < rows.size(); ++i)
    if (const std::string& one = shown[i]; !one.empty())
      shown[i] = fmt::format("{} {}", i + 1, shortened(printable(rows[i].label), kLabelLengths[0]));
  return shown;
}

int64_t text_width(const std::string& text, int64_t scale) {
  return text.empty() ? 0 : (std::ssize(text) * (kGlyphWidth + 1) - 1) * scale;
}

/// Enough blocks that the picture is no higher than wide, as long as it stays narrow enough.
void choose_blocks(Layout& layout, int64_t rows) {
  const auto fits = [&](int64_t blocks) {
    return blocks * (layout.block_width + kBlockGap) - kBlockGap <= kWidest;
  };
  layout.blocks = 1;
  layout.rows_per_block = std::max<int64_t>(rows, 1);
  while (layout.rows_per_block * layout.row_height > layout.blocks * layout.block_width &&
         layout.blocks < rows && fits(layout.blocks + 1)) {
    layout.blocks += 1;
    layout.rows_per_block = (rows + layout.blocks - 1) / layout.blocks;
  }
  layout.blocks = (rows + layout.rows_per_block - 1) / layout.rows_per_block;
}

Layout lay_out(const std::vector<GridRow>& rows, const std::vector<std::string>& labels,
               int64_t height, int64_t width, int64_t per_row, int64_t scale) {
  Layout layout{};
  layout.scale = scale > 0 ? scale : std::max<int64_t>(1, (64 + height / 2) / height);
  layout.cell_width = width * layout.scale;
  layout.cell_height = height * layout.scale;
  layout.text_scale = std::clamp<int64_t>(layout.cell_height / 28, 1, 3);
  int64_t longest = 0, most = 0;
  for (const std::string& label : labels)
    longest = std::max(longest, text_width(label, layout.text_scale));
  for (const GridRow& row : rows) most = std::max(most, std::min(per_row, std::ssize(row.images)));
  layout.label_width = longest > 0 ? longest + 4 * layout.text_scale : 0;
  const int64_t text_height = longest > 0 ? kGlyphHeight * layout.text_scale : 0;
  layout.row_height = std::max(layout.cell_height, text_height) + kGridGap;
  layout.block_width =
      layout.label_width + std::max<int64_t>(0, most * (layout.cell_width + kGridGap) - kGridGap);
  choose_blocks(layout, std::ssize(rows));
  return layout;
}

Picture blank(const Layout& layout, int64_t channels) {
  Picture picture;
  picture.channels = channels == 3 ? 3 : 1;
  picture.width = 2 * kGridMargin + std::max<int64_t>(0, layout.blocks * layout.block_width +
                                                             (layout.blocks - 1) * kBlockGap);
  picture.height = 2 * kGridMargin;
  if (layout.blocks > 0) picture.height += layout.rows_per_block * layout.row_height - kGridGap;
  picture.pixels.resize(to_size(picture.width * picture.height * picture.channels));
  return picture;
}

void draw_image(Canvas& canvas, const std::vector<uint8_t>& image, bool colour,
                const Layout& layout, int64_t left, int64_t top) {
  const int64_t width = layout.cell_width / layout.scale;
  const int64_t height = layout.cell_height / layout.scale;
  const int64_t plane = width * height;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      const uint8_t* at = image.data() + y * width + x;
      Colour pixel = {at[0], at[0], at[0]};
      if (colour) pixel = {at[0], at[plane], at[2 * plane]};
      canvas.fill(left + x * layout.scale, top + y * layout.scale, layout.scale, layout.scale,
                  pixel);
    }
}

void draw_row(Canvas& canvas, const GridRow& row, const std::string& label, int64_t index,
              const Layout& layout, bool colour, int64_t per_row) {
  const int64_t images_left = layout.left(index) + layout.label_width;
  const int64_t top = layout.top(index), scale = layout.text_scale;
  const int64_t text_left = images_left - 4 * scale - text_width(label, scale);
  const int64_t text_top = top + (layout.row_height - kGridGap - kCapitalHeight * scale) / 2;
  canvas.text(text_left,
              std::min(text_top, top + layout.row_height - kGridGap - kGlyphHeight * scale), scale,
              label);
  const int64_t count = std::min(per_row, std::ssize(row.images));
  for (int64_t i = 0; i < count; ++i)
    draw_image(canvas, row.images[to_size(i)], colour, layout,
               images_left + i * (layout.cell_width + kGridGap), top);
}

}  // namespace

Picture draw_grid(const std::vector<GridRow>& rows, int64_t channels, int64_t height, int64_t width,
                  int64_t per_row, int64_t scale) {
  if (channels < 1 || height < 1 || width < 1 || per_row < 0)
    throw std::invalid_argument("draw_grid: image sizes must be positive");
  for (const GridRow& row : rows)
    for (const auto& image : row.images)
      if (std::ssize(image) != channels * height * width)
        throw std::invalid_argument("draw_grid: an image of '" + row.label + "' has another size");
  const std::vector<std::string> labels = shown_labels(rows);
  const Layout layout = lay_out(rows, labels, height, width, per_row, scale);
  Picture picture = blank(layout, channels);
  Canvas canvas(picture);
  canvas.fill(0, 0, picture.width, picture.height, kGround);
  for (size_t i = 0; i < rows.size(); ++i)
    draw_row(canvas, rows[i], labels[i], static_cast<int64_t>(i), layout, channels == 3, per_row);
  return picture;
}

}  // namespace retort::report
