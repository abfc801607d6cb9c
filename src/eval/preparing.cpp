#include "eval/preparing.h"

#include <fmt/format.h>

#include "augment/training_strategy.h"
#include "core/registry.h"
#include "eval/evaluation_notes.h"
#include "retort/core/error.h"

namespace retort::eval {

Networks make_networks(const synthetic::Bundle& bundle, const data::Dataset& data,
                       const Protocol& protocol, const EvalOptions& options) {
  std::vector<std::string> names = options.networks;
  if (names.empty() && options.learners.empty()) names = {student_of(bundle, protocol)};
  Networks networks;
  for (const std::string& name : names)
    networks.push_back(
        nets::make_network(name, {data.channels, data.height, data.width, data.classes()}));
  return networks;
}

train::TrainOptions training_of(const Protocol& protocol, const synthetic::Bundle& bundle,
                                const data::Dataset& data, const EvalOptions& options) {
  train::TrainOptions training = protocol.training;
  if (training.augmentation == "auto")
    training.augmentation = bundle.augmentation.empty() ? augment::default_strategy(data.mirrorable)
                                                        : bundle.augmentation;
  const size_t flip = training.augmentation.find("_flip");
  if (flip != std::string::npos && !data.mirrorable && protocol.training.augmentation != "auto")
    training.augmentation.erase(flip, 5);  // digits, whatever the protocol was published for
  augment::parse_training_strategy(training.augmentation);  // refuses a damaged bundle early
  if (protocol.steps) {
    const int64_t images = bundle.images.size(0);
    const int64_t batches = (images + training.batch_size - 1) / training.batch_size;
    training.epochs = (protocol.steps(images) + batches - 1) / batches;
  }
  if (options.evaluation_epochs > 0) training.epochs = options.evaluation_epochs;
  return training;
}

void require_labels_of(const Protocol& protocol, const synthetic::Bundle& bundle) {
  const bool regression = bundle.soft_labels.defined() && bundle.soft_label_kind == "targets";
  if (!regression || protocol.training.loss == losses::Kind::kSquared) return;
  throw ConfigError({"preparing the labels of students",
                     fmt::format("the set's labels are targets of a regression, protocol '{}' "
                                 "takes probabilities",
                                 protocol.name),
                     "a protocol with a squared error, such as frepo", "give --protocol frepo"});
}

std::string student_of(const synthetic::Bundle& bundle, const Protocol& protocol) {
  std::string name = bundle.network.empty() ? "convnet" : bundle.network;
  const size_t place = (name + "-").find("-bn-");
  if (place == std::string::npos) return name;
  if (protocol.without_batchnorm) return name.replace(place, 3, "-nonorm");
  return evaluated_without_batchnorm(bundle) ? name.replace(place, 3, "-in") : name;
}

const Protocol& protocol_of(const synthetic::Bundle& bundle, const EvalOptions& options) {
  std::string name = options.protocol.empty() ? bundle.protocol : options.protocol;
  if (name.empty()) name = protocols().front().name;
  return find_entry<Protocol>(protocols(), "protocol", name);
}

}  // namespace retort::eval
