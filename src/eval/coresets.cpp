#include "eval/coresets.h"

#include <fmt/format.h>

#include "eval/subjects.h"
#include "methods/redraw.h"
#include "retort/synthetic/parametrisation.h"

namespace retort::eval {

const std::vector<std::string>& coreset_methods() {
  static const std::vector<std::string> names{"random", "herding", "kcenter", "forgetting"};
  return names;
}

synthetic::Bundle choose_coreset(const synthetic::Bundle& bundle, const data::Dataset& data,
                                 const CoresetChoice& choice, at::Device device,
                                 const ProgressStyle& progress) {
  synthetic::Bundle chosen = bundle;
  chosen.method = choice.method;
  chosen.parametrisation = "pixels";
  chosen.compact.clear();
  chosen.soft_labels = at::Tensor();
  chosen.soft_label_kind = "probabilities";
  chosen.student_learning_rate.reset();
  chosen.recipe = fmt::format("selection_epochs = {}\n", choice.selection_epochs);
  const synthetic::SetLayout layout{random_counts(bundle, data), data.channels, data.height,
                                    data.width};
  chosen.labels = layout.labels();
  chosen.images = methods::choose_again(chosen, data, choice.seed, device, progress);
  return chosen;
}

}  // namespace retort::eval
