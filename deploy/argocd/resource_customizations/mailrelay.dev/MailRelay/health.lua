-- The health of a MailRelay, from its conditions. It agrees with kstatus, by which Flux and Helm judge, but that a paused
-- MailRelay is Suspended. What is wrong beside the mail flow is in the message of one that is Healthy.
local health = {}
local metadata = obj.metadata or {}
local status = obj.status or {}

local annotations = metadata.annotations or {}
if annotations["mailrelay.dev/paused"] == "true" then
  health.status = "Suspended"
  health.message = "Paused by the annotation mailrelay.dev/paused"
  return health
end

if status.observedGeneration == nil or status.observedGeneration ~= metadata.generation then
  health.status = "Progressing"
  health.message = "Waiting for the operator to look at this generation"
  return health
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function text(condition)
  return (condition.reason or condition.type) .. ": " .. (condition.message or "")
end

local reconciling, stalled, ready = conditions.Reconciling, conditions.Stalled, conditions.Ready
if reconciling ~= nil and reconciling.status == "True" then
  health.status = "Progressing"
  health.message = text(reconciling)
  return health
end
if stalled ~= nil and stalled.status == "True" then
  health.status = "Degraded"
  health.message = text(stalled)
  return health
end
if ready == nil or ready.status ~= "True" then
  health.status = "Progressing"
  health.message = ready ~= nil and text(ready) or "Waiting for the operator to say whether mail flows"
  return health
end

local parts = { text(ready) }
for _, name in ipairs({ "CertificateReady", "PolicyApplied", "QueueHealthy", "ConfigurationSound" }) do
  local condition = conditions[name]
  if condition ~= nil and condition.status == "False" then
    table.insert(parts, text(condition))
  end
end
health.status = "Healthy"
health.message = table.concat(parts, "; ")
return health
