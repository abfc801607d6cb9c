// The page of a run, from its records. Records may come from a run that was cut short: whatever is
// absent, or null because it was not finite, is left out or drawn as a gap. No torch here.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "report/compared.h"
#include "report/costs.h"
#include "report/curves.h"
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

/// What a run says of itself at its start and end.
struct Facts {
  Json run = Json::object(), finish = Json::object();
  double iterations = kNan;
  Costs costs;
  bool finished = false;
};

Facts facts_of(const std::vector<Json>& records) {
  Facts facts;
  facts.costs = costs_of(records);
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

/// Time and memory of the run, and of all that the set cost.
void add_costs(Page& page, const Facts& facts) {
  const Costs& costs = facts.costs;
  auto& merit = page.figures_of_merit;
  if (std::isfinite(costs.seconds))
    merit.emplace_back(std::isfinite(facts.iterations) && facts.iterations > 0
                           ? "time, " + count(facts.iterations, "iteration")
                           : "time",
                       format_duration(costs.seconds));
  if (std::isfinite(costs.peak_memory))
    merit.emplace_back("peak memory", format_bytes(costs.peak_memory));
  if (costs.needed.empty()) return;
  const std::string all = "in all, with " + costs.words();
  if (std::isfinite(costs.whole_seconds()))
    merit.emplace_back("time " + all, format_duration(costs.whole_seconds()));
  if (std::isfinite(costs.whole_peak()))
    merit.emplace_back("peak memory " + all, format_bytes(costs.whole_peak()));
  for (const Needed& one : costs.needed) {
    std::string text = one.what;
    for (const std::string& part :
         {size_text(one.bytes), duration(one.seconds), size_text(one.peak_memory)})
      text += ", " + (part.empty() ? "not known" : part);
    add(page.facts, "Made for it (on disk, time, peak memory)", text);
  }
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
  add_costs(page, facts);
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
  page.heat_maps = std::move(evaluations.heat_maps);
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
