#include "eval/relabel.h"

#include "core/limits.h"
#include "core/registry.h"
#include "retort/core/error.h"

namespace retort::eval {

void RelabelOptions::declare(OptionSet& options) {
  options.add("protocol", protocol,
              "the protocol whose views are labelled; empty: the one that the set was made for");
  options.add("evaluation_epochs", evaluation_epochs, "epochs of labels; 0: the protocol's",
              {.min = 0, .max = 1e6});
  options.add("precision", precision, "how a logit is stored",
              {.choices = {"float32", "float16", "int8"}});
  options.add(
      "top_k", top_k,
      "number of the largest logits of a row that are stored, the others by their mean; 0: all",
      {.min = 0});
  options.add("keep", keep,
              "share of the batches whose labels are stored; they are used again in turn",
              {.min = 1e-6, .max = 1});
  options.add("seed", seed, "seed of the views", {.min = 0, .max = kLargestSeed});
}

teachers::LabelPlan plan_labels(const synthetic::Bundle& bundle, const RelabelOptions& options,
                                const teachers::LoadedTeacher& teacher) {
  const std::string name = options.protocol.empty() ? bundle.protocol : options.protocol;
  const Protocol& protocol = find_entry<Protocol>(protocols(), "protocol", name);
  if (!protocol.post)
    throw ConfigError(ErrorMessage{"preparing the file of labels",
                                   "protocol '" + name + "' is not a post-training",
                                   "a protocol of post-training, such as rded",
                                   "give --protocol; `retort list protocols` shows all"});
  teachers::LabelPlan plan;
  plan.views = views_of(protocol, bundle);
  plan.seed = static_cast<uint64_t>(options.seed);
  plan.epochs =
      options.evaluation_epochs > 0 ? options.evaluation_epochs : protocol.training.epochs;
  plan.images = bundle.images.size(0);
  plan.classes = bundle.classes();
  plan.batch_statistics = protocol.post->batch_statistics;
  plan.precision = options.precision;
  plan.top_k = options.top_k;
  plan.keep = options.keep;
  plan.images_hash = teachers::images_hash(bundle.images, bundle.labels);
  plan.teacher_hash = teacher.hash;
  plan.data_hash = teacher.teacher.data_hash;
  plan.split = teacher.teacher.split;
  teachers::check_plan(plan);
  return plan;
}

}  // namespace retort::eval
