#include "eval/cross_arch.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <ostream>

#include "core/file.h"
#include "core/limits.h"
#include "core/registry.h"
#include "eval/candidates.h"
#include "eval/coresets.h"
#include "eval/evaluate_under.h"
#include "eval/held_out.h"
#include "eval/subjects.h"
#include "retort/core/error.h"

namespace retort::eval {
namespace {

std::string hash_of_set(const synthetic::Bundle& set) {
  return hash_of({set.images, set.labels, set.soft_labels});
}

/// Protocols whose students take a teacher's labels.
bool taught(const CrossRow& row, const CrossOptions& options) {
  EvalOptions asked;
  asked.protocol = options.protocol;
  return protocol_of(row.bundle, asked).post.has_value();
}

class Cell {
 public:
  Cell(const CrossInput& input, const CrossRow& row, const std::string& network)
      : input_(input), row_(row), network_(network) {
    EvalOptions asked;
    asked.protocol = input.options.protocol;
    protocol_ = &protocol_of(row.bundle, asked);
    for (const std::string& text : input.options.rates) rates_.push_back(learning_rate_of(text));
    // A rate that was learned with the set is one of those to choose from.
    if (row.bundle.student_learning_rate) rates_.push_back(*row.bundle.student_learning_rate);
    std::sort(rates_.begin(), rates_.end());
    rates_.erase(std::unique(rates_.begin(), rates_.end()), rates_.end());
  }

  std::optional<Json> find() {
    double rate = 0;  // that of the protocol, or of each step
    Json tried = Json::array();
    bool at_end = false;
    if (!protocol_->ordered) {
      const std::optional<double> best = search(tried);
      if (!best) return {};
      rate = *best;
      at_end = rates_.size() > 1 && (rate == rates_.front() || rate == rates_.back());
    }
    std::optional<Json> figure = trained("test", rate);
    if (!figure) return {};
    (*figure)["set"] = row_.name;
    (*figure)["network"] = network_;
    (*figure)["rate"] = rate;
    (*figure)["tried"] = tried;
    (*figure)["at_end"] = at_end;
    return figure;
  }

 private:
  bool stopped() const { return input_.stop && input_.stop->requested(); }

  /// The rate of one student that does best on the validation part; the lower of equal ones.
  std::optional<double> search(Json& tried) {
    double highest = -1, best = rates_.front();
    for (const double rate : rates_) {
      Json accuracy;
      try {
        const std::optional<Json> figure = trained("validation", rate);
        if (!figure) return {};
        if (const Json& found = figure->at("accuracies"); !found.empty()) accuracy = found[0];
      } catch (const StateError&) {  // it ran away: not a rate to use
        input_.kept.add(key("validation", rate), {{"accuracies", Json::array()}});
      }
      tried.push_back({{"rate", rate}, {"accuracy", accuracy}});
      if (!accuracy.is_number() || accuracy.get<double>() <= highest) continue;
      highest = accuracy.get<double>();
      best = rate;
    }
    return best;
  }

  /// Fewer images make fewer steps of an epoch: as many steps in all as the set has that they stand
  /// beside. 0: the protocol's.
  int64_t epochs(int64_t asked) const {
    if (row_.steps_of <= row_.bundle.images.size(0) || protocol_->steps) return asked;
    const int64_t all = asked > 0 ? asked : protocol_->training.epochs;
    const int64_t batch = protocol_->post ? views_of(*protocol_, row_.bundle).batch_size
                                          : protocol_->training.batch_size;
    const auto steps = [&](int64_t images) { return (images + batch - 1) / batch; };
    const int64_t own = steps(row_.bundle.images.size(0));
    return (all * steps(row_.steps_of) + own - 1) / own;
  }

  EvalOptions options(const std::string& part) const {
    const CrossOptions& asked = input_.options;
    EvalOptions options;
    options.networks = {network_};
    options.protocol = asked.protocol;
    options.random_baseline = false;
    options.seed = asked.seed;
    options.part = part;
    options.students = part == "test" ? asked.students : 1;
    options.evaluation_epochs =
        epochs(part == "validation" && asked.search_epochs > 0 ? asked.search_epochs
                                                               : asked.evaluation_epochs);
    if (protocol_->post) {
      options.teacher = asked.teacher;
      options.student_labels = row_.student_labels;
    }
    return options;
  }

  /// All that a figure depends on.
  std::string key(const std::string& part, double rate) const {
    const CrossOptions& asked = input_.options;
    const bool test = part == "test";
    Json key{{"set", hash_of_set(row_.bundle)},
             {"chosen", row_.bundle.chosen ? row_.bundle.method : ""},
             {"network", network_},
             {"protocol", protocol_->name},
             {"augmentation", row_.bundle.augmentation},
             {"epochs", epochs(asked.evaluation_epochs)},
             {"search_epochs", test ? 0 : asked.search_epochs},
             {"part", part},
             {"held_out", test ? 0 : asked.held_out},
             {"rate", rate},
             {"students", test ? asked.students : 1},
             {"seed", asked.seed},
             {"data", input_.data.hash},
             {"split", input_.data.split.words()}};
    if (protocol_->post) key["teacher"] = asked.teacher + " " + row_.student_labels;
    return json_text(key);
  }

  std::optional<Json> trained(const std::string& part, double rate) {
    const std::string known = key(part, rate);
    if (std::optional<Json> found = input_.kept.find(known)) {
      for (const char* of_the_line : {"key", "kind"}) found->erase(of_the_line);
      return found;
    }
    if (input_.style.out)
      *input_.style.out << fmt::format("{} on {}, {}\n", network_, row_.name,
                                       part == "test" ? fmt::format("rate {:g}: the figure", rate)
                                                      : fmt::format("trying rate {:g}", rate));
    synthetic::Bundle set = row_.bundle;
    if (rate > 0) set.student_learning_rate = rate;
    const data::Dataset parted =
        with_validation(input_.data, input_.options.held_out, input_.options.seed);
    const Evaluation evaluation = evaluate(set, part == "test" ? input_.data : parted,
                                           options(part), input_.device, input_.style, input_.stop);
    if (stopped()) return {};
    const Result& result = evaluation.results.at(0);
    const Json figure{{"date", to_json(evaluation).at("date")},
                      {"accuracies", result.accuracies},
                      {"labels", result.labels},
                      {"label_bytes", result.label_bytes},
                      {"teacher_bytes", result.teacher_bytes},
                      {"steps", result.steps},
                      {"seconds", result.seconds},
                      {"images", evaluation.test_images}};
    input_.kept.add(known, figure);
    return figure;
  }

  const CrossInput& input_;
  const CrossRow& row_;
  const std::string network_;
  const Protocol* protocol_ = nullptr;
  std::vector<double> rates_;
};

}  // namespace

void CrossOptions::declare(OptionSet& options) {
  options.group("Cross-architecture");
  options.add("networks", networks,
              "networks to train on every set, beside the one that it was made with");
  options.add("rates", rates,
              "learning rates of students, of which the best for each set and network is chosen on "
              "the validation part");
  options.add("students", students,
              "number of freshly initialised networks trained for every figure",
              {.min = 1, .max = 1000});
  options.add("protocol", protocol,
              "how students are trained, but for the rate; empty: as each set was made for",
              {.choices = names_of<Protocol>(protocols())});
  options.add("evaluation_epochs", evaluation_epochs, "epochs of a student; 0: the protocol's",
              {.min = 0, .max = 1e6});
  options.add("search_epochs", search_epochs,
              "epochs of the students that rates are compared by; 0: as of the others",
              {.min = 0, .max = 1e6});
  options.add("held_out", held_out,
              "part of the training images that rates are chosen on where the data have no "
              "validation part",
              {.min = 0.001, .max = 0.5});
  options.add("random_baseline", random_baseline,
              "train on random real images as well, as many as take the bytes of each set");
  options.add("seed", seed, "seed of initial parameters, orders, augmentation and random images",
              {.min = 0, .max = kLargestSeed});
  options.add("teacher", teacher, "file of the teacher, for protocols that take its labels", {},
              Role::kExecution);
}

void check_cross(const data::Dataset& data, const CrossOptions& options) {
  for (const std::string& text : options.rates) learning_rate_of(text);
  for (const std::string& name : options.networks)
    nets::make_network(name, {data.channels, data.height, data.width, data.classes()});
}

std::string own_network(const CrossRow& row, const CrossOptions& options) {
  EvalOptions asked;
  asked.protocol = options.protocol;
  return student_of(row.bundle, protocol_of(row.bundle, asked));
}

void add_baselines(std::vector<CrossRow>& rows, const CrossInput& input) {
  std::map<std::string, std::string> known;  // what decides a baseline, and its row
  const size_t sets = rows.size();
  for (size_t i = 0; i < sets; ++i) {
    if (rows[i].bundle.chosen) continue;  // real images themselves
    CrossRow random;
    random.random = true;
    random.bundle =
        choose_coreset(rows[i].bundle, input.data,
                       {"random", 1, static_cast<uint64_t>(input.options.seed)}, input.device);
    random.bundle.chosen = true;  // every student has a choice of its own
    random.bundle.data_hash = input.data.hash;
    random.bundle.seed = input.options.seed;
    random.steps_of = rows[i].bundle.images.size(0);
    const bool labelled = taught(rows[i], input.options);
    if (labelled) random.student_labels = input.options.teacher.empty() ? "hard" : "live";
    const Json key{hash_of_set(random.bundle), random.bundle.augmentation,         labelled,
                   random.bundle.protocol,     random.bundle.preprocessing.kind(), random.steps_of};
    random.name = fmt::format("random, {} image{}", random.bundle.images.size(0),
                              random.bundle.images.size(0) == 1 ? "" : "s");
    for (const auto& [other, name] : known)
      if (name == random.name && other != json_text(key)) random.name += " beside " + rows[i].name;
    const auto [place, fresh] = known.try_emplace(json_text(key), random.name);
    rows[i].baseline = place->second;
    if (fresh) rows.push_back(std::move(random));
  }
}

Json to_json(const CrossRow& row, const CrossOptions& options) {
  int64_t image_bytes = 0, label_bytes = 0;
  for (const auto& [name, bytes] : row.bundle.storage())
    (name == "labels" || name == "soft_labels" ? label_bytes : image_bytes) += bytes;
  EvalOptions asked;
  asked.protocol = options.protocol;
  return {{"set", row.name},
          {"method", row.bundle.method},
          {"random", row.random},
          {"baseline", row.baseline},
          {"made_with", row.random ? "" : own_network(row, options)},
          {"protocol", protocol_of(row.bundle, asked).name},
          {"images", row.bundle.images.size(0)},
          {"image_bytes", image_bytes},
          {"label_bytes", label_bytes},
          {"soft_labels", row.bundle.soft_labels.defined()}};
}

std::optional<Json> cross_cell(const CrossInput& input, const CrossRow& row,
                               const std::string& network) {
  return Cell(input, row, network).find();
}

}  // namespace retort::eval
