#include "methods/previews.h"

#include "retort/core/file.h"
#include "retort/data/image_file.h"

namespace retort::methods {

void save_preview(const std::filesystem::path& path, const synthetic::Bundle& bundle) {
  if (!data::png_available()) return;
  const at::Tensor bytes =
      bundle.preprocessing.invert(bundle.images).mul(255).round().to(at::kByte).contiguous();
  const int64_t size = bytes[0].numel();
  std::vector<report::GridRow> rows;
  int64_t at = 0;
  const auto counts = bundle.counts();
  for (size_t c = 0; c < counts.size(); at += counts[c++]) {
    report::GridRow row{bundle.class_names[c], {}};
    for (int64_t i = at; i < at + std::min<int64_t>(counts[c], 10); ++i) {
      const uint8_t* pixels = bytes.data_ptr<uint8_t>() + i * size;
      row.images.emplace_back(pixels, pixels + size);
    }
    rows.push_back(std::move(row));
  }
  const auto picture = report::draw_grid(rows, bytes.size(1), bytes.size(2), bytes.size(3));
  write_atomically(path, data::encode_png(picture.pixels.data(), picture.width, picture.height,
                                          picture.channels));
}

}  // namespace retort::methods
