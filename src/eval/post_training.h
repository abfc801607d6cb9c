// What students of a post-training are taught with, views of their images and labels of these, and
// which of their epochs was best.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "retort/eval/evaluate.h"
#include "teachers/fkd.h"
#include "teachers/soft_labels.h"

namespace retort::eval {

/// The protocols of post-training.
std::vector<Protocol> post_trainings();

/// Views of one source with their labels.
struct LabelledViews {
  std::unique_ptr<train::Views> views;
  std::unique_ptr<train::BatchStream> batch_stream;
  std::string labels;  ///< hard | live | stored
  int64_t label_bytes = 0, teacher_bytes = 0;
};

/// Teacher and stored labels of an evaluation, opened and checked.
class LabelSource {
 public:
  /// Nothing but a check of the options where the protocol is no post-training. ConfigError,
  /// StateError where labels or teacher do not fit the set.
  LabelSource(const Protocol& protocol, const synthetic::Bundle& bundle, const data::Dataset& data,
              const EvalOptions& options, at::Device device);
  bool on() const { return post_.has_value(); }
  bool soft() const { return teacher_ || stored(); }
  bool stored() const { return stored_ || folder_; }
  /// The batches of all subjects: of the protocol, or of the file.
  const train::ViewOptions& views() const { return views_; }
  /// Stored labels are those of the distilled set alone: other subjects ask the teacher.
  LabelledViews teach(const data::BatchSource& source, bool distilled) const;

 private:
  void open_stored(const std::string& path, const synthetic::Bundle& bundle);
  void open_folder(const std::string& path, const synthetic::Bundle& bundle);
  std::optional<PostTraining> post_;
  data::Preprocessing preprocessing_;
  train::ViewOptions views_;
  uint64_t seed_ = 0;
  int64_t classes_ = 0;
  std::unique_ptr<teachers::LoadedTeacher> teacher_;
  std::unique_ptr<teachers::StoredLabels> stored_;
  std::unique_ptr<teachers::FkdLabels> folder_;
};

/// Students at the epoch of the last fifth that was best on the validation part (Sun et al., 2024).
class Best {
 public:
  Best(const nets::Network& network, const data::Split& validation,
       const data::Preprocessing& preprocessing, at::Device device, int64_t students);
  bool on() const { return validation_.size() > 0; }
  void see(const train::Epoch& epoch);
  const std::vector<train::ModelState>& kept() const { return kept_; }  ///< by student

 private:
  const nets::Network& network_;
  const data::Split& validation_;
  const data::Preprocessing& preprocessing_;
  at::Device device_;
  std::vector<double> accuracies_;
  std::vector<train::ModelState> kept_;
};

}  // namespace retort::eval
