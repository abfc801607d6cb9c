// The page of a run, from its records. Records may come from a run that was cut short: whatever is
// absent, or null because it was not finite, is left out or drawn as a gap. No torch here.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "report/evaluations.h"
#include "report/record_fields.h"
#include "retort/core/progress.h"
#include "retort/report/page.h"

namespace retort::report {
namespace {

std::vector<Json> of_kind(const std::vector<Json>& records, const std::string& kind) {
  std::vector<Json> result;
  for (const Json& record : records)
    if (record.is_object() && text(record, "kind") == kind) result.push_back(record);
  return result;
}

std::string images_per_class(const std::string& value) {
  if (value.empty()) return {};
  if (value.find_first_not_of("0123456789") == std::string::npos)
    return value + (value == "1" ? " image per class" : " images per class");
  if (value.starts_with("proportional:"))
    return value.substr(value.find(':') + 1) + " images, classes in proportion";
  return "unequal numbers of images per class";
}

// -- Curves --------------------------------------------------------------------------------------

/// Mean over `span` points around each, skipping what is not finite.
std::vector<std::pair<double, double>> running_mean(
    const std::vector<std::pair<double, double>>& curve, size_t span) {
  std::vector<std::pair<double, double>> mean;
  const size_t half = span / 2;
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
  const size_t span = loss.points.size() / 50 * 2 + 1;
  if (span > 1) {
    Series mean{fmt::format("mean over {} records", span), running_mean(loss.points, span)};
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
  Json run = Json::object(), finish = Json::object();
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
    if (facts.finished) facts.finish = record;
    // fmax ignores a NaN where the other is a number. Methods that choose images finish without
    // iterations.
    if (kind == "iteration")
      facts.iterations = std::fmax(facts.iterations, number(record, "iteration"));
    facts.seconds = std::fmax(facts.seconds, number(record, "seconds"));
    facts.peak_memory = std::fmax(facts.peak_memory, number(record, "peak_memory_bytes"));
  }
  return facts;
}

bool is_pixels(const Json& run) {
  const std::string name = text(run, "parametrisation");
  return name.empty() || name == "pixels";
}

std::string title_of(const Json& run) {
  const std::string method = text(run, "method"), data = text(run, "data");
  if (method.empty() && data.empty()) return "A run of retort";
  std::string title = method + (data.empty() ? "" : " on " + data);
  const std::string budget = images_per_class(text(run, "images_per_class"));
  return budget.empty() ? title : title + ", " + budget;
}

/// "these 100 images", or what is stored where the images are decoded from it.
std::string set_text(const Facts& facts) {
  const double images = number(facts.run, "images");
  if (!std::isfinite(images)) return "the set";
  const std::string bytes = size_text(number(facts.run, "storage_bytes"));
  if (!is_pixels(facts.run) && !bytes.empty())
    return "the " + count(images, "image") + " that " + bytes + " decode to";
  return images == 1 ? "this 1 image" : "these " + count(images, "image");
}

std::string summary_of(const Facts& facts, const std::optional<Headline>& best) {
  if (!best) {
    const double images = number(facts.run, "images");
    if (facts.run.empty()) return {};
    return "A set of " + (std::isfinite(images) ? count(images, "image") : "images") +
           (facts.finished ? ". It has not been evaluated yet."
                           : ", still being made. It has not been evaluated yet.");
  }
  std::string text = fmt::format(
      "Trained from scratch on {} alone{}, a {} gets {}\u00a0% of the {}{} images right",
      set_text(facts), best->protocol.empty() ? "" : " by protocol " + best->protocol,
      best->network.empty() ? "network" : best->network, percent(best->mean, best->deviation),
      std::isfinite(best->test_images) ? whole(best->test_images) + " " : "", best->part);
  if (!std::isfinite(best->random_mean)) return text + ".";
  const double over = 100 * (best->mean - best->random_mean);
  const bool fewer = best->random_images < best->images;
  return text +
         fmt::format("; on {} random real images{}, {}\u00a0%. That is {:.1f} points {}.",
                     std::isfinite(best->random_images) ? whole(best->random_images) : "as many",
                     fewer ? ", which take the same bytes" : "",
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
  if (parts == run.end() || !parts->is_object() || is_pixels(run)) return;
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
    merit.emplace_back(fmt::format("{} accuracy, {}{}, {}", best->part, best->network,
                                   best->protocol.empty() ? "" : ", protocol " + best->protocol,
                                   count(best->students, "student")),
                       percent(best->mean, best->deviation) + "\u00a0%");
    if (std::isfinite(best->random_mean))
      merit.emplace_back("points above random real images", points(best->mean - best->random_mean));
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
        whole(images));
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
    page.notes.push_back("Differs from its paper or code: " + deviation);
  for (const Json* record : {&facts.run, &facts.finish})
    for (const std::string& note : texts(*record, "notes")) page.notes.push_back(note);
}

void add_facts(Page& page, const Json& run) {
  for (const auto& [name, key] :
       std::vector<std::pair<std::string, const char*>>{{"Method", "method"},
                                                        {"Parametrisation", "parametrisation"},
                                                        {"Data", "data"},
                                                        {"Data hash", "data_hash"},
                                                        {"Network", "network"},
                                                        {"Network of students", "student_network"},
                                                        {"Images per class", "images_per_class"},
                                                        {"Seed", "seed"},
                                                        {"Device", "device"},
                                                        {"Threads", "threads"},
                                                        {"retort version", "program_version"}})
    add(page.facts, name, text(run, key));
}

/// The protocol that a recipe names, or nothing.
std::string protocol_of(const std::string& recipe) {
  constexpr std::string_view kKey = "protocol = \"";
  const size_t line = recipe.starts_with(kKey) ? 0 : recipe.find("\n" + std::string(kKey));
  if (line == std::string::npos) return {};
  const size_t begin = recipe.find('"', line) + 1;
  return recipe.substr(begin, recipe.find('"', begin) - begin);
}

}  // namespace

Page run_page(const std::vector<Json>& records, const std::string& recipe,
              const std::vector<Figure>& pictures) {
  const Facts facts = facts_of(records);
  Page page;
  page.title = title_of(facts.run);
  page.pictures = pictures;
  page.recipe = recipe;
  Evaluations evaluations = evaluations_of(records, protocol_of(recipe));
  const std::optional<Headline>& best = evaluations.best;
  page.tables = std::move(evaluations.tables);
  page.summary = summary_of(facts, best);
  add_merit(page, facts, best);
  if (const auto chart = loss_chart(of_kind(records, "iteration"))) page.charts.push_back(*chart);
  if (const auto chart = validation_chart(of_kind(records, "validation")))
    page.charts.push_back(*chart);
  page.notes = std::move(evaluations.notes);
  add_notes(page, facts);
  for (std::string& note : page.notes)
    if (!note.empty() && note[0] >= 'a' && note[0] <= 'z')
      note[0] = static_cast<char>(note[0] - 'a' + 'A');
  add_facts(page, facts.run);
  return page;
}

}  // namespace retort::report
