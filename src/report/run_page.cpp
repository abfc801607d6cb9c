// The page of a run, from its records. Records may come from a run that was cut short: whatever is
// absent, or null because it was not finite, is left out or drawn as a gap. No torch here.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "retort/core/progress.h"
#include "retort/report/page.h"

namespace retort::report {
namespace {

using Json = nlohmann::json;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// -- Fields of records, whatever their type ------------------------------------------------------

double number(const Json& record, const char* key) {
  const auto field = record.find(key);
  return field != record.end() && field->is_number() ? field->get<double>() : kNan;
}

std::string text(const Json& record, const char* key) {
  const auto field = record.find(key);
  if (field == record.end() || field->is_null()) return {};
  return field->is_string() ? field->get<std::string>() : field->dump();
}

std::vector<std::string> texts(const Json& record, const char* key) {
  std::vector<std::string> result;
  const auto field = record.find(key);
  if (field == record.end() || !field->is_array()) return result;
  for (const Json& item : *field)
    result.push_back(item.is_string() ? item.get<std::string>() : item.dump());
  return result;
}

bool flag(const Json& record, const char* key, bool otherwise) {
  const auto field = record.find(key);
  return field != record.end() && field->is_boolean() ? field->get<bool>() : otherwise;
}

std::vector<Json> of_kind(const std::vector<Json>& records, const std::string& kind) {
  std::vector<Json> result;
  for (const Json& record : records)
    if (record.is_object() && text(record, "kind") == kind) result.push_back(record);
  return result;
}

// -- Words ---------------------------------------------------------------------------------------

std::string count(double value, const std::string& noun) {
  return fmt::format("{:.0f} {}{}", value, noun, value == 1 ? "" : "s");
}

/// "47.1 ± 0.4" with spaces that do not break, in percent from fractions; without deviation where
/// it is unknown.
std::string percent(double mean, double deviation) {
  if (!std::isfinite(mean)) return "not finite";
  if (!std::isfinite(deviation)) return fmt::format("{:.1f}", 100 * mean);
  return fmt::format("{:.1f}\u00a0±\u00a0{:.1f}", 100 * mean, 100 * deviation);
}

/// A whole number, or nothing where it is unknown; the same for a time.
std::string whole(double value) {
  return std::isfinite(value) ? fmt::format("{:.0f}", value) : "";
}
std::string duration(double seconds) {
  return std::isfinite(seconds) ? format_duration(seconds) : "";
}

std::string points(double difference) {
  return fmt::format("{:+.1f}", 100 * difference);
}

std::string images_per_class(const std::string& value) {
  if (value.empty()) return {};
  if (value.find_first_not_of("0123456789") == std::string::npos)
    return value + (value == "1" ? " image per class" : " images per class");
  if (value.starts_with("proportional:"))
    return value.substr(value.find(':') + 1) + " images, classes in proportion";
  return "unequal numbers of images per class";
}

// -- Evaluations ---------------------------------------------------------------------------------

/// Results of one evaluation with one kind of labels.
struct Judged {
  std::string protocol, part;
  double students = kNan, training_images = kNan;
  bool soft_labels = false;
  std::vector<Json> results;

  const Json* find(const std::string& subject, const std::string& network) const {
    for (const Json& result : results)
      if (text(result, "subject") == subject && text(result, "network") == network) return &result;
    return nullptr;
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

/// One evaluation, or two where its results have both hard and soft labels. Results of a network
/// stand together.
std::vector<Judged> judged(const Json& evaluation) {
  std::vector<Judged> both;
  const bool own = flag(evaluation, "soft_labels", false);
  const auto results = evaluation.find("results");
  if (results == evaluation.end() || !results->is_array()) return both;
  for (const bool soft : {own, !own}) {
    Judged one{text(evaluation, "protocol"),
               text(evaluation, "part"),
               number(evaluation, "students"),
               number(evaluation, "training_images"),
               soft,
               {}};
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

std::string caption_of(const Judged& evaluation) {
  std::string caption = evaluation.part == "validation" ? "Validation" : "Test";
  caption += " accuracy in percent, mean ± standard deviation";
  if (std::isfinite(evaluation.students))
    caption += " over " + count(evaluation.students, "student");
  if (!evaluation.protocol.empty()) caption += "; protocol " + evaluation.protocol;
  if (std::isfinite(evaluation.training_images))
    caption += "; set of " + count(evaluation.training_images, "image");
  return caption + (evaluation.soft_labels ? "; soft labels." : "; hard labels.");
}

std::string size_text(double bytes) {
  return std::isfinite(bytes) ? format_bytes(bytes) : "";
}

Table accuracy_table(const Judged& evaluation) {
  Table table;
  table.caption = caption_of(evaluation);
  table.head = {"Network",  "Trained on", "Accuracy, %", "Over random",
                "Students", "Epochs",     "Time"};
  table.percent_column = 2;
  const bool bytes = std::any_of(evaluation.results.begin(), evaluation.results.end(),
                                 [](const Json& result) { return result.contains("label_bytes"); });
  if (bytes) table.head.insert(table.head.end(), {"Image bytes", "Labels", "Label bytes"});
  for (const Json& result : evaluation.results) {
    const std::string network = text(result, "network"), subject = text(result, "subject");
    const Json* random = evaluation.find("random", network);
    const double over =
        random && subject == "distilled" ? number(result, "mean") - number(*random, "mean") : kNan;
    if (subject == "distilled") table.strong_rows.push_back(table.rows.size());
    table.rows.push_back(
        {network, subject, percent(number(result, "mean"), spread(result, evaluation.students)),
         std::isfinite(over) ? points(over) : "", whole(student_count(result, evaluation.students)),
         whole(number(result, "epochs")), duration(number(result, "seconds"))});
    if (!bytes) continue;
    for (const std::string& cell :
         {size_text(number(result, "image_bytes")), text(result, "labels"),
          size_text(number(result, "label_bytes"))})
      table.rows.back().push_back(cell);
  }
  return table;
}

/// The first distilled result of an evaluation, with its baselines.
struct Headline {
  std::string network, part;
  double students = kNan, mean = kNan, deviation = kNan;
  double random_mean = kNan, random_deviation = kNan, whole_mean = kNan;
};

std::optional<Headline> headline(const Judged& evaluation) {
  for (const Json& result : evaluation.results) {
    if (text(result, "subject") != "distilled" || !std::isfinite(number(result, "mean"))) continue;
    Headline found;
    found.network = text(result, "network");
    found.part = evaluation.part == "validation" ? "validation" : "test";
    found.students = student_count(result, evaluation.students);
    found.mean = number(result, "mean");
    found.deviation = spread(result, evaluation.students);
    if (const Json* random = evaluation.find("random", found.network)) {
      found.random_mean = number(*random, "mean");
      found.random_deviation = spread(*random, evaluation.students);
    }
    if (const Json* whole = evaluation.find("whole set", found.network))
      found.whole_mean = number(*whole, "mean");
    return found;
  }
  return std::nullopt;
}

// -- Curves --------------------------------------------------------------------------------------

/// Mean over `window` points around each, skipping what is not finite.
std::vector<std::pair<double, double>> running_mean(
    const std::vector<std::pair<double, double>>& curve, size_t window) {
  std::vector<std::pair<double, double>> mean;
  const size_t half = window / 2;
  for (size_t i = 0; i < curve.size(); ++i) {
    const size_t first = i > half ? i - half : 0, last = std::min(i + half + 1, curve.size());
    double sum = 0, finite = 0;
    for (size_t j = first; j < last; ++j)
      if (std::isfinite(curve[j].second)) sum += curve[j].second, finite += 1;
    mean.emplace_back(curve[i].first, finite > 0 ? sum / finite : kNan);
  }
  return mean;
}

/// Losses that fall through more than a factor of 30 are seen on a logarithmic axis only.
bool wants_log(const std::vector<std::pair<double, double>>& curve) {
  double low = std::numeric_limits<double>::infinity(), high = 0;
  for (const auto& [x, y] : curve) {
    if (!std::isfinite(y)) continue;
    low = std::min(low, y);
    high = std::max(high, y);
  }
  return low > 0 && std::isfinite(low) && high > 30 * low;
}

std::optional<Chart> loss_chart(const std::vector<Json>& iterations) {
  Series loss{"loss", {}};
  for (const Json& record : iterations)
    if (record.contains("loss"))
      loss.points.emplace_back(number(record, "iteration"), number(record, "loss"));
  if (loss.points.empty()) return std::nullopt;
  Chart chart{"Loss", "iteration", "loss", {}};
  const size_t window = loss.points.size() / 50 * 2 + 1;
  if (window > 1) {
    Series mean{fmt::format("mean over {} records", window), running_mean(loss.points, window)};
    chart.log_y = wants_log(mean.points);
    loss.background = true;
    chart.series = {loss, mean};
  } else {
    chart.log_y = wants_log(loss.points);
    chart.series = {loss};
  }
  return chart;
}

std::optional<Chart> validation_chart(const std::vector<Json>& validations) {
  Chart chart{"Validation accuracy", "iteration", "accuracy, %", {}};
  for (const Json& record : validations) {
    const std::string network = text(record, "network");
    auto series = std::find_if(chart.series.begin(), chart.series.end(),
                               [&](const Series& one) { return one.name == network; });
    if (series == chart.series.end()) series = chart.series.insert(series, Series{network, {}});
    series->points.emplace_back(number(record, "iteration"), 100 * number(record, "mean"));
    series->deviations.push_back(100 * number(record, "deviation"));
  }
  if (chart.series.empty()) return std::nullopt;
  if (chart.series.size() == 1 && !chart.series[0].name.empty())
    chart.title += " of " + chart.series[0].name;
  return chart;
}

// -- The page ------------------------------------------------------------------------------------

/// What a run says of itself at its start and end.
struct Facts {
  Json run = Json::object();
  double iterations = kNan, seconds = kNan, peak_memory = kNan;
  bool finished = false;
};

Facts facts_of(const std::vector<Json>& records) {
  Facts facts;
  for (const Json& record : records) {
    if (!record.is_object()) continue;
    const std::string kind = text(record, "kind");
    if (kind == "run") facts.run = record;
    if (kind != "iteration" && kind != "finish") continue;
    facts.finished = kind == "finish";
    // fmax ignores a NaN where the other is a number. Methods that choose images finish without
    // iterations.
    if (kind == "iteration")
      facts.iterations = std::fmax(facts.iterations, number(record, "iteration"));
    facts.seconds = std::fmax(facts.seconds, number(record, "seconds"));
    facts.peak_memory = std::fmax(facts.peak_memory, number(record, "peak_memory_bytes"));
  }
  return facts;
}

std::string title_of(const Json& run) {
  const std::string method = text(run, "method"), data = text(run, "data");
  if (method.empty() && data.empty()) return "A run of retort";
  std::string title = method + (data.empty() ? "" : " on " + data);
  const std::string budget = images_per_class(text(run, "images_per_class"));
  return budget.empty() ? title : title + ", " + budget;
}

std::string summary_of(const Facts& facts, const std::optional<Headline>& best) {
  const double images = number(facts.run, "images");
  const std::string set = std::isfinite(images) ? count(images, "image") : "the set";
  if (!best) {
    if (facts.run.empty()) return {};
    return "A set of " + (std::isfinite(images) ? set : "images") +
           (facts.finished ? ". It has not been evaluated yet."
                           : ", still being made. It has not been evaluated yet.");
  }
  std::string text =
      fmt::format("Trained from scratch on {} alone, a {} gets {}\u00a0% of the {} images right",
                  std::isfinite(images) ? "these " + set : set,
                  best->network.empty() ? "network" : best->network,
                  percent(best->mean, best->deviation), best->part);
  if (!std::isfinite(best->random_mean)) return text + ".";
  const double over = 100 * (best->mean - best->random_mean);
  return text + fmt::format(
                    "; on a random real subset of the same size, {}\u00a0%. That is {:.1f} "
                    "points {}.",
                    percent(best->random_mean, best->random_deviation), std::abs(over),
                    over >= 0 ? "more" : "less");
}

void add(std::vector<std::pair<std::string, std::string>>& list, const std::string& name,
         const std::string& value) {
  if (!value.empty()) list.emplace_back(name, value);
}

void add_storage(Page& page, const Json& run) {
  const double bytes = number(run, "storage_bytes");
  if (!std::isfinite(bytes)) return;
  const double equivalents = number(run, "images_per_class_equivalents");
  add(page.figures_of_merit,
      std::isfinite(equivalents)
          ? fmt::format("storage, as {:.4g} float images per class", equivalents)
          : "storage",
      format_bytes(bytes));
  // Of pixels there is nothing more to say.
  const auto parts = run.find("storage");
  if (parts == run.end() || !parts->is_object() || text(run, "parametrisation") == "pixels") return;
  for (const auto& [name, part] : parts->items())
    if (part.is_number())
      add(page.facts, "Stored " + name,
          std::isfinite(equivalents)
              ? fmt::format("{}, as {:.3g} images per class", format_bytes(part.get<double>()),
                            part.get<double>() / bytes * equivalents)
              : format_bytes(part.get<double>()));
}

void add_merit(Page& page, const Facts& facts, const std::optional<Headline>& best) {
  auto& merit = page.figures_of_merit;
  if (best) {
    merit.emplace_back(fmt::format("{} accuracy, {}, {}", best->part, best->network,
                                   count(best->students, "student")),
                       percent(best->mean, best->deviation) + "\u00a0%");
    if (std::isfinite(best->random_mean))
      merit.emplace_back("points over random real images", points(best->mean - best->random_mean));
    if (best->whole_mean > 0)
      merit.emplace_back("of the accuracy with the whole set",
                         fmt::format("{:.0f}\u00a0%", 100 * best->mean / best->whole_mean));
  }
  const double images = number(facts.run, "images"), classes = number(facts.run, "classes");
  if (std::isfinite(images))
    merit.emplace_back(
        std::isfinite(classes)
            ? classes == 1 ? "images of 1 class" : fmt::format("images of {:.0f} classes", classes)
            : "images",
        fmt::format("{:.0f}", images));
  if (std::isfinite(facts.seconds))
    merit.emplace_back(std::isfinite(facts.iterations) && facts.iterations > 0
                           ? "time, " + count(facts.iterations, "iteration")
                           : "time",
                       format_duration(facts.seconds));
  if (std::isfinite(facts.peak_memory))
    merit.emplace_back("peak memory", format_bytes(facts.peak_memory));
  add_storage(page, facts.run);
}

void add_notes(Page& page, const Facts& facts) {
  if (!facts.run.empty() && !facts.finished)
    page.notes.emplace_back("The run has not finished: figures are those of its last record.");
  for (const std::string& deviation : texts(facts.run, "deviations"))
    page.notes.push_back("Deviation: " + deviation);
  for (const std::string& note : texts(facts.run, "notes")) page.notes.push_back(note);
}

void add_facts(Page& page, const Json& run) {
  for (const auto& [name, key] :
       std::vector<std::pair<std::string, const char*>>{{"Method", "method"},
                                                        {"Parametrisation", "parametrisation"},
                                                        {"Data", "data"},
                                                        {"Data hash", "data_hash"},
                                                        {"Network", "network"},
                                                        {"Images per class", "images_per_class"},
                                                        {"Seed", "seed"},
                                                        {"Device", "device"},
                                                        {"Threads", "threads"},
                                                        {"retort version", "program_version"}})
    add(page.facts, name, text(run, key));
}

}  // namespace

Page run_page(const std::vector<Json>& records, const std::string& recipe,
              const std::vector<Figure>& pictures) {
  const Facts facts = facts_of(records);
  Page page;
  page.title = title_of(facts.run);
  page.pictures = pictures;
  page.recipe = recipe;
  std::vector<Json> evaluations = of_kind(records, "evaluation");
  std::reverse(evaluations.begin(), evaluations.end());
  std::optional<Headline> best;
  for (const Json& evaluation : evaluations)
    for (const Judged& one : judged(evaluation)) {
      page.tables.push_back(accuracy_table(one));
      if (!best) best = headline(one);
    }
  page.summary = summary_of(facts, best);
  add_merit(page, facts, best);
  if (const auto chart = loss_chart(of_kind(records, "iteration"))) page.charts.push_back(*chart);
  if (const auto chart = validation_chart(of_kind(records, "validation")))
    page.charts.push_back(*chart);
  add_notes(page, facts);
  add_facts(page, facts.run);
  return page;
}

}  // namespace retort::report
