#include "methods/previews.h"

#include <fmt/format.h>

#include "core/file.h"
#include "retort/data/image_file.h"

namespace retort::methods {

namespace {

/// Images first..last - 1 of uint8 [M, C, H, W] as a row.
report::GridRow row_of(const std::string& label, const at::Tensor& bytes, int64_t first,
                       int64_t last) {
  const int64_t size = bytes[0].numel();
  report::GridRow row{label, {}};
  for (int64_t i = first; i < last; ++i) {
    const uint8_t* pixels = bytes.data_ptr<uint8_t>() + i * size;
    row.images.emplace_back(pixels, pixels + size);
  }
  return row;
}

void write_grid(const std::filesystem::path& path, const std::vector<report::GridRow>& rows,
                const at::Tensor& bytes) {
  const auto picture = report::draw_grid(rows, bytes.size(1), bytes.size(2), bytes.size(3));
  write_atomically(path, data::encode_png(picture.pixels.data(), picture.width, picture.height,
                                          picture.channels));
}

}  // namespace

void save_preview(const std::filesystem::path& path, const synthetic::Bundle& bundle) {
  if (!data::png_available()) return;
  const at::Tensor bytes =
      bundle.preprocessing.invert(bundle.images).mul(255).round().to(at::kByte).contiguous();
  std::vector<report::GridRow> rows;
  int64_t at = 0;
  const auto counts = bundle.counts();
  for (size_t c = 0; c < counts.size(); at += counts[c++])
    rows.push_back(row_of(bundle.class_names[c], bytes, at, at + std::min<int64_t>(counts[c], 10)));
  write_grid(path, rows, bytes);
}

void save_bases(const std::filesystem::path& path, const synthetic::Bundle& bundle) {
  const auto found = bundle.compact.find("bases");
  if (!data::png_available() || found == bundle.compact.end()) return;
  const at::Tensor flat = found->second.flatten(1);
  const at::Tensor least = std::get<0>(flat.min(1, true)), most = std::get<0>(flat.max(1, true));
  const at::Tensor bytes = ((flat - least) / (most - least).clamp_min(1e-12))
                               .mul(255)
                               .round()
                               .to(at::kByte)
                               .view(found->second.sizes())
                               .contiguous();
  std::vector<report::GridRow> rows;
  for (int64_t i = 0; i < bytes.size(0); i += 10)
    rows.push_back(row_of(std::to_string(i), bytes, i, std::min(i + 10, bytes.size(0))));
  write_grid(path, rows, bytes);
}

bool keeps_row(int64_t iterations) {
  while (iterations > 0 && iterations % 10 == 0) iterations /= 10;
  return iterations == 1 || iterations == 2 || iterations == 5;
}

void save_row(const std::filesystem::path& folder, int64_t iterations, const at::Tensor& images,
              const synthetic::SetLayout& layout, const data::Preprocessing& preprocessing) {
  constexpr size_t kMost = 10;
  if (!data::png_available()) return;
  std::vector<int64_t> rows;
  const std::vector<int64_t> offsets = layout.offsets();
  for (size_t c = 0; c < layout.counts.size() && rows.size() < kMost; ++c)
    if (layout.counts[c] > 0) rows.push_back(offsets[c]);
  if (rows.empty()) return;
  const at::Tensor shown = images.index_select(0, at::tensor(rows).to(images.device()));
  // [n, C, H, W] becomes [H, n W, C].
  const at::Tensor bytes = preprocessing.on(at::kCPU)
                               .invert(shown.detach().to(at::kCPU))
                               .mul(255)
                               .round()
                               .to(at::kByte)
                               .permute({2, 0, 3, 1})
                               .flatten(1, 2)
                               .contiguous();
  const bool grey = bytes.size(2) != 3;
  const at::Tensor drawn = grey ? bytes.narrow(2, 0, 1).contiguous() : bytes;
  write_atomically(
      folder / fmt::format("row-{}-{:06d}.png", rows.size(), iterations),
      data::encode_png(drawn.data_ptr<uint8_t>(), drawn.size(1), drawn.size(0), grey ? 1 : 3));
}

}  // namespace retort::methods
