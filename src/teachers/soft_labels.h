// A teacher's labels of views, batch after batch in one mapped file: logits alone, because
// everything else about a view is a function of the seed (train/views.h). docs/formats.md.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/file.h"
#include "core/sizes.h"
#include "io/safetensors.h"
#include "retort/core/process_group.h"
#include "retort/core/progress.h"
#include "retort/core/stop.h"
#include "retort/train/trainer.h"
#include "retort/train/views.h"
#include "teachers/loaded_teacher.h"

namespace retort::teachers {

/// What a file of labels is to hold, and all that its bytes depend on beside images and teacher.
struct LabelPlan {
  train::ViewOptions views;
  uint64_t seed = 0;
  int64_t epochs = 300;
  int64_t images = 0, classes = 0;
  bool batch_statistics = false;      ///< the teacher's BatchNorm takes those of the batch
  std::string precision = "float32";  ///< float32 | float16 | int8
  int64_t top_k = 0;                  ///< above 0: as many logits of a row, float16, and the mean
                                      ///< of the others
  double keep = 1;                    ///< share of the batches that are kept, used again in turn
  std::string images_hash, teacher_hash;
  std::string data_hash;      ///< of what the teacher was trained on; empty where it is not known
  data::SplitIdentity split;  ///< of it

  int64_t batches() const;  ///< of an epoch
  int64_t row_bytes() const;
  /// The batches that are kept, epoch * batches() + batch, ascending.
  std::vector<int64_t> kept() const;
  std::map<std::string, std::string> metadata() const;
};

/// ConfigError where the plan's words and numbers do not fit each other.
void check_plan(const LabelPlan& plan);
/// Bytes of its file, to the last one.
int64_t label_bytes(const LabelPlan& plan);
/// Sixteen hexadecimal digits of images [M, C, H, W] and labels.
std::string images_hash(const at::Tensor& images, const at::Tensor& labels);

/// Labels of rows [N, K] as they are stored, and back: float32. Of int8 rows the middle of the
/// range is lost, which no softmax sees.
std::string pack_labels(const LabelPlan& plan, const at::Tensor& logits);
at::Tensor unpack_labels(const LabelPlan& plan, const std::byte* bytes, int64_t rows);

/// Writes, or goes on with, the file: it grows as `path`.partial. False where a stop was asked for.
/// StateError where the partial file is of another plan. The processes of a `group` share the
/// batches; the first writes.
bool write_labels(const std::filesystem::path& path, const LabelPlan& plan,
                  const train::Views& views, const LoadedTeacher& teacher, ProgressStyle style,
                  const StopFlag* stop, const ProcessGroup& group = ProcessGroup::alone());

/// A finished file, mapped.
class StoredLabels {
 public:
  /// DataError where it is damaged; StateError for a newer format.
  explicit StoredLabels(const std::filesystem::path& path);
  const LabelPlan& plan() const { return plan_; }
  int64_t bytes() const { return std::ssize(file_.bytes()); }
  int64_t blocks() const { return std::ssize(kept_); }
  /// epoch * batches + batch of a block.
  int64_t place(int64_t block) const { return kept_[to_size(block)]; }
  /// float32 [N, K], a copy; DataError where it is not as it was written.
  at::Tensor logits(int64_t block) const;
  /// DataError unless all blocks are as they were written.
  void require_whole() const;

 private:
  std::string path_;
  MappedFile file_;
  LabelPlan plan_;
  std::vector<int64_t> kept_, offsets_;  // of the rows of each block; one more than blocks
  std::vector<int64_t> hashes_;          // of the rows of each block
  std::span<const std::byte> rows_;
};

/// What students are taught with.
enum class Labels { kHard, kLive, kStored };

/// Batches of views with the teacher's labels, computed or stored, or the mixed classes.
struct BatchStreamSetting {
  const train::Views& views;
  Labels labels = Labels::kHard;
  int64_t classes = 0;
  double temperature = 20;
  bool temperature_squared = false;
  bool batch_statistics = false;           ///< kLive: as of LabelPlan
  const LoadedTeacher* teacher = nullptr;  ///< kLive
  const StoredLabels* stored = nullptr;    ///< kStored
};
/// Stored batches are used in their order and again from the first, whatever the epoch is.
std::unique_ptr<train::BatchStream> make_batch_stream(const BatchStreamSetting& setting);

}  // namespace retort::teachers
