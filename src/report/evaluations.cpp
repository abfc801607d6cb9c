#include "report/evaluations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "report/classes.h"

namespace retort::report {
namespace {

/// Results of one evaluation with one kind of labels.
struct Evaluated {
  Json evaluation;
  bool soft_labels = false;
  std::vector<Json> results;
  bool stale = false;  ///< of a set that more iterations have replaced

  std::string protocol() const { return text(evaluation, "protocol"); }
  std::string part() const {
    return text(evaluation, "part") == "validation" ? "validation" : "test";
  }
  double students() const { return number(evaluation, "students"); }
  /// Under the protocol as it is, not with other epochs.
  bool whole() const {
    return !flag(evaluation, "shortened", protocol().find(" with ") != std::string::npos);
  }
  const Json* find(const std::string& subject, const std::string& network) const {
    for (const Json& result : results)
      if (text(result, "subject") == subject && text(result, "network") == network) return &result;
    return nullptr;
  }
  bool any(const char* key) const {
    return std::any_of(results.begin(), results.end(), [&](const Json& result) {
      const auto field = result.find(key);
      return field != result.end() && !(field->is_array() && field->empty());
    });
  }
};

double student_count(const Json& result, double otherwise) {
  const auto field = result.find("accuracies");
  return field != result.end() && field->is_array() ? static_cast<double>(field->size())
                                                    : otherwise;
}

/// Deviation of a result; nothing where there was one student.
double spread(const Json& result, double students) {
  return student_count(result, students) == 1 ? kNan : number(result, "deviation");
}

/// Mean and population deviation of a list of fractions, as text; empty where there is none.
std::string percent_of(const Json& result, const char* key) {
  const auto field = result.find(key);
  if (field == result.end() || !field->is_array() || field->empty()) return {};
  double sum = 0, squares = 0;
  for (const Json& value : *field) {
    const double one = value.is_number() ? value.get<double>() : kNan;
    sum += one;
    squares += one * one;
  }
  const auto count = static_cast<double>(field->size());
  const double mean = sum / count;
  return percent(mean, count == 1 ? kNan : std::sqrt(std::max(0.0, squares / count - mean * mean)));
}

/// One evaluation, or two where its results have both hard and soft labels. Results of a network
/// stand together.
std::vector<Evaluated> by_labels(const Json& evaluation) {
  std::vector<Evaluated> both;
  const bool own = flag(evaluation, "soft_labels", false);
  const auto results = evaluation.find("results");
  if (results == evaluation.end() || !results->is_array()) return both;
  for (const bool soft : {own, !own}) {
    Evaluated one{evaluation, soft, {}};
    for (const Json& result : *results)
      if (result.is_object() && flag(result, "soft_labels", own) == soft)
        one.results.push_back(result);
    std::map<std::string, size_t> first;
    for (size_t i = 0; i < one.results.size(); ++i)
      first.try_emplace(text(one.results[i], "network"), i);
    std::stable_sort(one.results.begin(), one.results.end(), [&](const Json& a, const Json& b) {
      return first[text(a, "network")] < first[text(b, "network")];
    });
    if (!one.results.empty()) both.push_back(std::move(one));
  }
  return both;
}

/// All evaluations, the latest first. Those before the last state of the run are stale.
std::vector<Evaluated> latest_first(const std::vector<Json>& records) {
  std::vector<Evaluated> all;
  double iteration = kNan;
  for (const Json& record : records) {
    if (!record.is_object()) continue;
    if (text(record, "kind") == "finish") {
      if (number(record, "iteration") > iteration)
        for (Evaluated& one : all) one.stale = true;
      iteration = number(record, "iteration");
    }
    if (text(record, "kind") != "evaluation") continue;
    std::vector<Evaluated> both = by_labels(record);
    all.insert(all.begin(), both.begin(), both.end());
  }
  return all;
}

std::string caption_of(const Evaluated& one) {
  const Json& evaluation = one.evaluation;
  std::string caption = one.part() == "validation" ? "Validation" : "Test";
  caption += " accuracy in percent, mean ± standard deviation";
  if (std::isfinite(one.students())) caption += " over " + count(one.students(), "student");
  if (!one.protocol().empty()) caption += "; protocol " + one.protocol();
  const double set = number(evaluation, "training_images");
  if (std::isfinite(set)) caption += "; set of " + count(set, "image");
  caption += one.soft_labels ? "; soft labels" : "; hard labels";
  const double tested = number(evaluation, "test_images");
  if (std::isfinite(tested)) caption += "; tested on " + count(tested, "image");
  const std::string split = text(evaluation, "split"), seed = text(evaluation, "seed"),
                    date = text(evaluation, "date");
  if (!split.empty()) caption += "; split: " + split;
  if (!seed.empty()) caption += "; seed " + seed;
  if (!date.empty()) caption += "; " + date;
  caption += ".";
  if (one.stale) caption += " Of the set before the last iterations, which replaced it.";
  const auto drawn = std::find_if(one.results.begin(), one.results.end(), [](const Json& result) {
    return text(result, "subject") == "random" && number(result, "draws") > 1;
  });
  if (drawn != one.results.end())
    caption += fmt::format(" Random images: {}, one for each student.",
                           count(number(*drawn, "draws"), "draw"));
  if (one.any("averaged"))
    caption += " Averaged: the same students with a moving average of their parameters.";
  for (const Json& result : one.results) {
    const double epochs = number(result, "epochs"), passes = number(result, "passes");
    if (text(result, "subject") != "distilled" || !(passes > epochs)) continue;
    caption += fmt::format(
        " Steps: batches of training; {0} epochs are {1} passes over the images, since the "
        "published code counts them from 0 to {0}.",
        whole(epochs), whole(passes));
    break;
  }
  if (one.any("best")) caption += " Best epoch: of the last fifth, chosen on the validation part.";
  return caption;
}

/// What a table shows beside the columns that all have.
struct Columns {
  bool averaged, best, balanced, sizes;
  explicit Columns(const Evaluated& one)
      : averaged(one.any("averaged")),
        best(one.any("best")),
        balanced(std::any_of(one.results.begin(), one.results.end(),
                             [](const Json& result) {
                               return std::abs(number(result, "balanced") -
                                               number(result, "mean")) > 5e-4;
                             })),
        sizes(one.any("label_bytes")) {}
};

/// "100, 1.23 MB".
std::string images_text(const Json& result) {
  const std::string size = size_text(number(result, "image_bytes"));
  return whole(number(result, "images")) + (size.empty() ? "" : ", " + size);
}

/// "soft, 400 bytes".
std::string labels_text(const Json& result) {
  const std::string size = size_text(number(result, "label_bytes"));
  return text(result, "labels") + (size.empty() ? "" : ", " + size);
}

Table accuracy_table(const Evaluated& one) {
  const Columns columns(one);
  Table table;
  table.caption = caption_of(one);
  table.head = {"Network", "Trained on", "Accuracy, %", "Points above random"};
  if (columns.balanced) table.head.emplace_back("Balanced, %");
  if (columns.averaged) table.head.emplace_back("Averaged, %");
  if (columns.best) table.head.emplace_back("Best epoch, %");
  table.head.insert(table.head.end(), {"Images", "Steps", "Time"});
  if (columns.sizes) table.head.emplace_back("Labels");
  table.percent_column = 2;
  for (const Json& result : one.results) {
    const std::string network = text(result, "network"), subject = text(result, "subject");
    const Json* random = one.find("random", network);
    const double over =
        random && subject == "distilled" ? number(result, "mean") - number(*random, "mean") : kNan;
    if (subject == "distilled") table.strong_rows.push_back(table.rows.size());
    std::vector<std::string> row{network, subject,
                                 percent(number(result, "mean"), spread(result, one.students())),
                                 std::isfinite(over) ? points(over) : ""};
    if (columns.balanced) row.push_back(percent(number(result, "balanced"), kNan));
    if (columns.averaged) row.push_back(percent_of(result, "averaged"));
    if (columns.best) row.push_back(percent_of(result, "best"));
    row.insert(row.end(), {images_text(result), whole(number(result, "steps")),
                           duration(number(result, "seconds"))});
    if (columns.sizes) row.push_back(labels_text(result));
    table.rows.push_back(std::move(row));
  }
  return table;
}

const Json* first_distilled(const Evaluated& one) {
  for (const Json& result : one.results)
    if (text(result, "subject") == "distilled" && std::isfinite(number(result, "mean")))
      return &result;
  return nullptr;
}

Headline headline(const Evaluated& one, const Json& result) {
  Headline found;
  found.network = text(result, "network");
  found.part = one.part();
  found.protocol = one.protocol();
  found.students = student_count(result, one.students());
  found.test_images = number(one.evaluation, "test_images");
  found.mean = number(result, "mean");
  found.deviation = spread(result, one.students());
  found.images = number(result, "images");
  if (const Json* random = one.find("random", found.network)) {
    found.random_mean = number(*random, "mean");
    found.random_deviation = spread(*random, one.students());
    found.random_images = number(*random, "images");
  }
  if (const Json* whole = one.find("whole set", found.network))
    found.whole_mean = number(*whole, "mean");
  return found;
}

}  // namespace

Evaluations evaluations_of(const std::vector<Json>& records, const std::string& protocol) {
  Evaluations found;
  std::vector<Evaluated> all = latest_first(records);
  const auto rank = [&](const Evaluated& one) {
    const bool own = one.protocol() == protocol;
    return std::tuple(first_distilled(one) != nullptr, !one.stale, one.part() == "test",
                      own && one.whole(), one.whole(), one.soft_labels,
                      std::isfinite(one.students()) ? one.students() : 0);
  };
  // The first of the best, that is the latest.
  const auto best =
      std::max_element(all.begin(), all.end(),
                       [&](const Evaluated& a, const Evaluated& b) { return rank(a) < rank(b); });
  if (best == all.end()) return found;
  std::rotate(all.begin(), best, best + 1);
  for (const Evaluated& one : all) found.tables.push_back(accuracy_table(one));
  found.notes = texts(all.front().evaluation, "notes");
  const Json* result = first_distilled(all.front());
  if (!result) return found;
  found.best = headline(all.front(), *result);
  found.evaluation = all.front().evaluation;
  found.evaluation["results"] = all.front().results;
  found.evaluation["soft_labels"] = all.front().soft_labels;
  const Json& evaluation = all.front().evaluation;
  for (const auto& table : {class_table(evaluation, *result), confused_pairs(evaluation, *result)})
    if (table) found.tables.push_back(*table);
  if (const auto map = confusion_map(evaluation, *result)) found.heat_maps.push_back(*map);
  return found;
}

}  // namespace retort::report
