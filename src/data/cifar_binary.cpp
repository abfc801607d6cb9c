// CIFAR-10: records of one label byte and 3072 pixels (three planes of 32x32). CIFAR-100: a coarse
// and a fine label byte before the pixels. No torch here.
#include "data/cifar_binary.h"

#include "core/file.h"
#include "core/sizes.h"
#include "data/layouts.h"
#include "retort/core/error.h"

namespace retort::data {

namespace fs = std::filesystem;

void parse_cifar_binary(std::string_view bytes, const std::string& path, CifarLabels labels,
                        RawImages& out) {
  const size_t head = labels == CifarLabels::kTen ? 1 : 2;
  const size_t record_bytes = head + kCifarImageBytes;
  const size_t records = bytes.size() / record_bytes;
  if (records == 0 || bytes.size() % record_bytes != 0)
    throw DataError::wrong_size(path, std::ssize(bytes), to_int64((records + 1) * record_bytes),
                                "records of " + std::to_string(record_bytes) + " bytes; record " +
                                    std::to_string(records) + " is not whole");
  const int64_t last = labels == CifarLabels::kTen ? 9 : labels == CifarLabels::kFine ? 99 : 19;
  for (size_t i = 0; i < records; ++i) {
    const auto* record = reinterpret_cast<const uint8_t*>(bytes.data()) + i * record_bytes;
    const int64_t label = record[labels == CifarLabels::kFine ? 1 : 0];
    check_label(label, 0, last, path, to_int64(i));
    out.labels.push_back(label);
    out.pixels.insert(out.pixels.end(), record + head, record + record_bytes);
  }
}

std::vector<std::string> cifar10_names() {
  return {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
}

RawDataset empty_cifar(CifarLabels labels, const std::string& reader,
                       std::vector<std::string> class_names) {
  RawDataset raw;
  const bool ten = labels == CifarLabels::kTen;
  raw.name = ten ? "cifar10" : "cifar100";
  raw.reader = reader;
  raw.channels = 3;
  raw.height = raw.width = 32;
  raw.has_coarse_labels = !ten;
  raw.class_names = std::move(class_names);
  raw.published = ten ? cifar10_normalisation()
                      : Normalisation{{0.5071, 0.4866, 0.4409}, {0.2673, 0.2564, 0.2762}};
  return raw;
}

namespace {

void read_part(const fs::path& file, CifarLabels labels, const std::string& layout,
               RawImages& out) {
  require_file(file, layout);
  parse_cifar_binary(read_file(file, uint64_t{1} << 30), file.string(), labels, out);
}

std::optional<fs::path> find_cifar10(const fs::path& folder) {
  return folder_holding(folder, {"", "cifar-10-batches-bin"},
                        {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                         "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"});
}

RawDataset read_cifar10(const fs::path& path, const ReadOptions& options) {
  const fs::path folder = *find_cifar10(path);
  const std::string layout = "CIFAR-10 binary";
  RawDataset raw = empty_cifar(CifarLabels::kTen, layout, cifar10_names());
  raw.train.pixels.reserve(50000 * kCifarImageBytes);
  for (int i = 1; i <= 5; ++i)
    read_part(folder / ("data_batch_" + std::to_string(i) + ".bin"), CifarLabels::kTen, layout,
              raw.train);
  read_part(folder / "test_batch.bin", CifarLabels::kTen, layout, raw.test);
  keep_classes(raw, options.classes);
  return raw;
}

std::optional<fs::path> find_cifar100(const fs::path& folder) {
  return folder_holding(folder, {"", "cifar-100-binary"},
                        {"train.bin", "test.bin", "fine_label_names.txt"});
}

RawDataset read_cifar100(const fs::path& path, const ReadOptions& options) {
  const fs::path folder = *find_cifar100(path);
  const std::string layout = "CIFAR-100 binary";
  const bool coarse = options.coarse_labels;
  const CifarLabels labels = coarse ? CifarLabels::kCoarse : CifarLabels::kFine;
  const fs::path names = folder / (coarse ? "coarse_label_names.txt" : "fine_label_names.txt");
  require_file(names, layout);
  RawDataset raw = empty_cifar(labels, layout, names_of(names, coarse ? 20 : 100));
  raw.train.pixels.reserve(50000 * kCifarImageBytes);
  read_part(folder / "train.bin", labels, layout, raw.train);
  read_part(folder / "test.bin", labels, layout, raw.test);
  keep_classes(raw, options.classes);
  return raw;
}

}  // namespace

Reader cifar10_binary_reader() {
  return {"cifar10-binary",
          "CIFAR-10 binary: data_batch_1.bin to data_batch_5.bin and test_batch.bin",
          [](const fs::path& folder) { return find_cifar10(folder).has_value(); }, read_cifar10};
}

Reader cifar100_binary_reader() {
  return {"cifar100-binary",
          "CIFAR-100 binary: train.bin, test.bin, fine_label_names.txt, coarse_label_names.txt",
          [](const fs::path& folder) { return find_cifar100(folder).has_value(); }, read_cifar100};
}

}  // namespace retort::data
