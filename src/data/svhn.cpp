// SVHN, format 2: train_32x32.mat and test_32x32.mat, X uint8 [H, W, 3, N] in column-major order
// and y [N, 1] with 10 meaning the digit 0. Read by libmatio, an optional part. No torch here.
#include "data/svhn.h"

#include "core/file.h"
#include "core/memory.h"
#include "core/plain_file.h"
#include "core/sizes.h"
#include "data/layouts.h"
#include "retort/core/error.h"

#ifdef RETORT_WITH_MATIO
#include <matio.h>

#include <memory>
#endif

namespace retort::data {

namespace fs = std::filesystem;

namespace {

std::optional<fs::path> find_svhn(const fs::path& folder) {
  return folder_holding(folder, {"", "SVHN", "svhn"}, {"train_32x32.mat", "test_32x32.mat"});
}

#ifdef RETORT_WITH_MATIO
using Variable = std::unique_ptr<matvar_t, void (*)(matvar_t*)>;

Variable variable(mat_t* file, const char* name, int rank, const std::string& path) {
  Variable found(Mat_VarReadInfo(file, name), Mat_VarFree);
  bool good = found && found->rank == rank && !found->isComplex;
  int64_t bytes = good && found->class_type == MAT_C_UINT8 ? 1 : 8;  // no number takes more
  for (int d = 0; good && d < rank; ++d)
    good = !__builtin_mul_overflow(bytes, found->dims[d], &bytes);
  if (good) require_memory("reading '" + path + "'", bytes, "use a machine with more memory");
  if (!good || Mat_VarReadDataAll(file, found.get()) != 0 || !found->data)
    throw DataError::damaged(path,
                             std::string("no readable variable '") + name + "' of " +
                                 std::to_string(rank) + " dimensions",
                             "X [32, 32, 3, N] and y [N, 1]");
  return found;
}

std::vector<int64_t> integers(const matvar_t& y, const std::string& path) {
  const size_t count = y.nbytes / std::max<size_t>(1, to_size(y.data_size));
  std::vector<int64_t> values(count);
  for (size_t i = 0; i < count; ++i) {
    if (y.class_type == MAT_C_UINT8) {
      values[i] = static_cast<const uint8_t*>(y.data)[i];
    } else if (y.class_type == MAT_C_DOUBLE && y.data_size == sizeof(double)) {
      const double value = static_cast<const double*>(y.data)[i];
      values[i] = value >= 1 && value <= 10 ? static_cast<int64_t>(value) : -1;
    } else {
      throw DataError::damaged(path, "'y' is neither uint8 nor double");
    }
  }
  return values;
}

void read_part(const fs::path& file_path, RawImages& out) {
  require_file(file_path, "SVHN");
  const std::string path = file_path.string();
  const PlainFile plain(file_path);  // matio would wait for the writer of a pipe
  const std::unique_ptr<mat_t, int (*)(mat_t*)> file(Mat_Open(path.c_str(), MAT_ACC_RDONLY),
                                                     Mat_Close);
  if (!file) throw DataError::damaged(path, "it is not a MATLAB file", "SVHN's cropped digits");
  const Variable x = variable(file.get(), "X", 4, path);
  const Variable y = variable(file.get(), "y", 2, path);
  const std::vector<int64_t> labels = integers(*y, path);
  const size_t image_bytes = 3 * 32 * 32;
  if (x->class_type != MAT_C_UINT8 || x->dims[0] != 32 || x->dims[1] != 32 || x->dims[2] != 3 ||
      x->nbytes != x->dims[3] * image_bytes)
    throw DataError::damaged(path, "'X' is not a whole array of images", "uint8 [32, 32, 3, N]");
  if (labels.size() != x->dims[3])
    throw DataError::damaged(path, std::to_string(labels.size()) + " labels for " +
                                       std::to_string(x->dims[3]) + " images");
  const auto* pixels = static_cast<const uint8_t*>(x->data);
  out.pixels.resize(x->nbytes);
  for (size_t n = 0; n < labels.size(); ++n) {
    check_label(labels[n], 1, 10, path, to_int64(n));
    out.labels.push_back(labels[n] % 10);
    for (size_t c = 0; c < 3; ++c)  // column-major planes: transpose each
      for (size_t row = 0; row < 32; ++row)
        for (size_t column = 0; column < 32; ++column)
          out.pixels[n * image_bytes + (c * 32 + row) * 32 + column] =
              pixels[n * image_bytes + (c * 32 + column) * 32 + row];
  }
}
#else
void read_part(const fs::path& file_path, RawImages&) {
  throw ResourceError::absent("reading '" + file_path.string() + "'", "libmatio", "libmatio-dev");
}
#endif

RawDataset read_svhn(const fs::path& path, const ReadOptions& options) {
  const fs::path folder = *find_svhn(path);
  RawDataset raw;
  raw.name = "svhn";
  raw.reader = "SVHN";
  raw.channels = 3;
  raw.height = raw.width = 32;
  raw.class_names = digits();
  raw.mirrorable = false;
  raw.published = Normalisation{{0.4377, 0.4438, 0.4728}, {0.1980, 0.2010, 0.1970}};
  read_part(folder / "train_32x32.mat", raw.train);
  read_part(folder / "test_32x32.mat", raw.test);
  keep_classes(raw, options.classes);
  return raw;
}

}  // namespace

Reader svhn_reader() {
  return {"svhn", "SVHN: train_32x32.mat and test_32x32.mat",
          [](const fs::path& folder) { return find_svhn(folder).has_value(); }, read_svhn};
}

}  // namespace retort::data
