// How far one has come: tasks done and left, those of today, the time spent today, the usual time a task takes.

import { t } from "./i18n.js";

const at = (id) => document.getElementById(id);

/** "45 s", "3 min", "2 h 5 min". */
export function duration(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return t("label.seconds", { n: seconds });
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return t("label.minutes", { n: minutes });
  return t("label.hours", { hours: Math.floor(minutes / 60), minutes: minutes % 60 });
}

export function showStanding(standing) {
  const { done, remaining, today, today_active_ms: time, pace_ms: pace } = standing;
  at("progress").hidden = false;
  at("progress-text").textContent = t("label.progress", { done, remaining, today });
  at("progress-fill").style.width = `${done + remaining === 0 ? 0 : (100 * done) / (done + remaining)}%`;
  const parts = [];
  if (time >= 1000) parts.push(t("label.time", { time: duration(time) }));
  if (pace >= 1000) parts.push(t("label.pace", { time: duration(pace) }));
  at("progress-time").textContent = parts.join(" · ");
}
