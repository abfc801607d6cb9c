// retort recall: mixed queries to the memories of a run.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <ostream>
#include <sstream>

#include "cli/arguments.h"
#include "cli/evaluation.h"
#include "cli/host.h"
#include "cli/run_report.h"
#include "cli/taken_over.h"
#include "core/file.h"
#include "core/limits.h"
#include "core/registry.h"
#include "methods/previews.h"
#include "retort/core/error.h"
#include "synthetic/recall.h"

namespace retort::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDoing = "reading --labels";
constexpr const char* kAccepted = "CLASS:WEIGHT,CLASS:WEIGHT;CLASS:WEIGHT such as cat:0.5,dog:0.5";
constexpr const char* kExamples =
    "Examples:\n"
    "  retort recall runs/a --labels 'cat:0.5,dog:0.5;cat:0.7,ship:0.3'\n"
    "  retort recall runs/a --labels cat:0.5,dog:0.5 --data cifar-10-batches-bin --students 3\n";

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);)
    if (part.find_first_not_of(' ') != std::string::npos) parts.push_back(part);
  return parts;
}

/// The weight after the last colon.
double weight_of(const std::string& term, size_t colon) {
  double weight = 0;
  const char* end = term.data() + term.size();
  const auto [stop, problem] = std::from_chars(term.data() + colon + 1, end, weight);
  if (problem != std::errc() || stop != end || !(weight >= 0) || weight > kLargestReal)
    throw ConfigError(ErrorMessage{
        kDoing,
        "'" + term.substr(colon + 1) + "' in '" + term + "' is not a weight from 0 to 1e30",
        kAccepted,
        {}});
  return weight;
}

/// Label vectors of mixed queries.
struct Queries {
  std::vector<std::string> texts;
  at::Tensor labels;  ///< [Q, classes]
};

Queries parse_queries(const std::string& text, const std::vector<std::string>& classes) {
  Queries queries{split(text, ';'), {}};
  if (queries.texts.empty())
    throw ConfigError(ErrorMessage{kDoing, "there is no query", kAccepted, {}});
  queries.labels = at::zeros({std::ssize(queries.texts), std::ssize(classes)});
  for (size_t q = 0; q < queries.texts.size(); ++q) {
    at::Tensor row = queries.labels[static_cast<int64_t>(q)];
    for (const std::string& term : split(queries.texts[q], ',')) {
      const size_t colon = term.rfind(':');
      if (colon == std::string::npos)
        throw ConfigError(ErrorMessage{kDoing, "'" + term + "' has no weight", kAccepted, {}});
      const std::string name = term.substr(0, colon);
      const auto found = std::find(classes.begin(), classes.end(), name);
      if (found == classes.end()) throw ConfigError::unknown(kDoing, "class", name, classes);
      row[found - classes.begin()].add_(weight_of(term, colon));
    }
    if (row.sum().item<double>() <= 0)
      throw ConfigError(ErrorMessage{
          kDoing, "the weights of '" + queries.texts[q] + "' are all 0", kAccepted, {}});
  }
  return queries;
}

/// A name that any file system takes.
std::string file_name(const std::string& labels) {
  std::string name;
  for (const char c : labels)
    name += std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' ? c : '_';
  constexpr size_t kMost = 80;
  if (name.size() > kMost)
    name = name.substr(0, kMost) + "-" + hex(hash_bytes(labels.data(), labels.size()));
  return "recall-" + name + ".png";
}

/// The recalled images as a set with a class for every query.
synthetic::Bundle as_picture(const synthetic::Bundle& bundle, const Queries& queries,
                             const at::Tensor& images) {
  synthetic::Bundle picture;
  picture.images = images;
  picture.class_names = queries.texts;
  const auto count = std::ssize(queries.texts);
  picture.labels = at::arange(count).repeat_interleave(images.size(0) / count);
  picture.preprocessing = bundle.preprocessing;
  return picture;
}

/// The set with the recalled images among those of the class that weighs most in them.
synthetic::Bundle with_recalled(const synthetic::Bundle& bundle, const Queries& queries,
                                const at::Tensor& images) {
  synthetic::Bundle both = bundle;
  both.compact.clear();
  const int64_t each = images.size(0) / queries.labels.size(0);
  const at::Tensor shares =
      (queries.labels / queries.labels.sum(1, true)).repeat_interleave(each, 0);
  const at::Tensor targets = bundle.soft_labels.defined()
                                 ? bundle.soft_labels
                                 : at::one_hot(bundle.labels, bundle.classes()).to(at::kFloat);
  const at::Tensor labels = at::cat({bundle.labels, shares.argmax(1)});
  const at::Tensor order = std::get<1>(at::sort(labels, /*stable=*/true, 0, false));
  both.images = at::cat({bundle.images, images}).index_select(0, order);
  both.labels = labels.index_select(0, order);
  both.soft_labels = at::cat({targets, shares}).index_select(0, order);
  return both;
}

/// Epochs on `images` images that make as many steps as those of `alone` on its images.
int64_t matching_epochs(const eval::Result& alone, const std::string& protocol, int64_t images) {
  const int64_t batch =
      find_entry(std::span(eval::protocols()), "protocol", protocol).training.batch_size;
  const auto steps = [&](int64_t count) { return (count + batch - 1) / batch; };
  return (alone.epochs * steps(alone.images) + steps(images) - 1) / steps(images);
}

/// Students on the set alone (and random images), then with the recalled images, in as many steps.
eval::Evaluation judge(const Environment& environment, const synthetic::Bundle& bundle,
                       const synthetic::Bundle& both, const data::Dataset& data,
                       eval::EvalOptions options, at::Device device) {
  auto run = [&](const synthetic::Bundle& set) {
    return eval::evaluate(set, data, options, device, environment.progress(), environment.stop);
  };
  eval::Evaluation all = run(bundle);
  if (environment.stop && environment.stop->requested()) return all;
  if (options.protocol.empty()) options.protocol = bundle.protocol;
  if (options.protocol.empty()) options.protocol = eval::protocols().front().name;
  options.evaluation_epochs =
      matching_epochs(all.results.front(), options.protocol, both.images.size(0));
  options.random_baseline = options.whole_set = false;
  for (eval::Result& result : run(both).results) {
    result.subject = "with recalled";
    all.results.push_back(std::move(result));
  }
  return all;
}

struct Recall {
  std::string target, labels;
  data::DataOptions data;
  eval::EvalOptions eval;
  MachineOptions machine;

  /// True where the options ask for something else than help.
  bool read(const Environment& environment, const Arguments& arguments) {
    OptionSet set;
    set.group("Recall");
    set.add("labels", labels, "queries joined by ';', each CLASS:WEIGHT,CLASS:WEIGHT");
    eval.declare(set);
    set.group("Data");
    data.declare(set);
    machine.declare(set);
    const Usage usage{"recall",
                      "Decodes mixed labels from a set of memories; with --data, trains students "
                      "with and without what it recalled.",
                      kExamples};
    if (!parse(environment, usage, arguments, set,
               {{"run", "a run folder or a bundle (.safetensors)", &target, true}}))
      return false;
    take_run_options(target, set);
    return true;
  }
  fs::path picture() const {
    return (fs::is_directory(target) ? fs::path(target) / "images"
                                     : fs::path(target).parent_path()) /
           file_name(labels);
  }
};

}  // namespace

int run_recall(const Environment& environment, const Arguments& arguments) {
  Recall recall;
  if (!recall.read(environment, arguments)) return 0;
  synthetic::Bundle bundle = synthetic::load_bundle(bundle_of(recall.target));
  const Queries queries = parse_queries(recall.labels, bundle.class_names);
  const at::Tensor images = synthetic::recall(bundle, queries.labels);
  const at::Device device = recall.machine.apply(environment);
  // A run's recipe names its data; only where they are given now are students wanted.
  std::optional<data::Dataset> data;
  if (!peek(arguments, "data").empty() || bundle.preprocessing_missing) {
    data = open_data(environment, recall.data);
    fit_to_data(environment, "recalling from", recall.target, *data, bundle);
  }
  methods::save_preview(recall.picture(), as_picture(bundle, queries, images));
  if (fs::exists(fs::path(recall.target) / "recipe.toml")) write_report(recall.target);
  Json answer{{"queries", queries.texts},
              {"images", images.size(0)},
              {"picture", recall.picture().string()}};
  if (!recall.machine.json)
    environment.out << fmt::format("{} images of {} quer{}: {}\n", images.size(0),
                                   queries.texts.size(), queries.texts.size() == 1 ? "y" : "ies",
                                   recall.picture().string());
  if (!peek(arguments, "data").empty()) {
    const eval::Evaluation evaluated = judge(
        environment, bundle, with_recalled(bundle, queries, images), *data, recall.eval, device);
    if (environment.stop && environment.stop->requested()) return kStopped;
    answer["evaluation"] = to_json(evaluated);
    if (!recall.machine.json) print_table(environment, evaluated);
  }
  if (recall.machine.json) environment.out << json_text(answer, 2) << "\n";
  return 0;
}

}  // namespace retort::cli
