"""Latency of sdc11073 reports: argv reports, rate_hz. Prints a JSON list of microseconds, provider's transaction to consumer's observer."""
import json
import logging
import sys
import time
import uuid
from decimal import Decimal

from sdc11073 import observableproperties
from sdc11073.consumer.consumerimpl import SdcConsumer
from sdc11073.definitions_sdc import SdcV1Definitions
from sdc11073.location import SdcLocation
from sdc11073.mdib import ProviderMdib
from sdc11073.mdib.consumermdib import ConsumerMdib
from sdc11073.provider import SdcProvider
from sdc11073.wsdiscovery import WSDiscoverySingleAdapter
from sdc11073.xml_types.dpws_types import ThisDeviceType, ThisModelType
from sdc11073.xml_types.actions import periodic_actions

logging.disable(logging.CRITICAL)
METRIC = "metric.rate"
MDIB = b"""<?xml version="1.0" encoding="UTF-8"?>
<msg:GetMdibResponse xmlns:msg="http://standards.ieee.org/downloads/11073/11073-10207-2017/message"
 xmlns:pm="http://standards.ieee.org/downloads/11073/11073-10207-2017/participant"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" SequenceId="urn:uuid:0d7a2a6e-0a2e-4b0c-8f0d-0c0f1d2b3a4c" MdibVersion="1">
<msg:Mdib SequenceId="urn:uuid:0d7a2a6e-0a2e-4b0c-8f0d-0c0f1d2b3a4c" MdibVersion="1">
<pm:MdDescription DescriptionVersion="1"><pm:Mds Handle="mds" DescriptorVersion="1" SafetyClassification="MedA">
<pm:SystemContext Handle="ctx" DescriptorVersion="1"><pm:LocationContext Handle="loc" DescriptorVersion="1"/></pm:SystemContext>
<pm:Vmd Handle="vmd" DescriptorVersion="1" SafetyClassification="MedA"><pm:Channel Handle="chan" DescriptorVersion="1" SafetyClassification="MedA">
<pm:Metric xsi:type="pm:NumericMetricDescriptor" Handle="metric.rate" DescriptorVersion="1" SafetyClassification="MedA" MetricCategory="Msrmt"
 MetricAvailability="Cont" Resolution="1"><pm:Type Code="147842"/><pm:Unit Code="264864"/></pm:Metric>
</pm:Channel></pm:Vmd></pm:Mds></pm:MdDescription>
<pm:MdState StateVersion="1"><pm:State xsi:type="pm:SystemContextState" DescriptorHandle="ctx" DescriptorVersion="1" StateVersion="1"/>
<pm:State xsi:type="pm:MdsState" DescriptorHandle="mds" DescriptorVersion="1" StateVersion="1" OperatingMode="Nml"/>
<pm:State xsi:type="pm:VmdState" DescriptorHandle="vmd" DescriptorVersion="1" StateVersion="1"/>
<pm:State xsi:type="pm:ChannelState" DescriptorHandle="chan" DescriptorVersion="1" StateVersion="1"/>
<pm:State xsi:type="pm:NumericMetricState" DescriptorHandle="metric.rate" DescriptorVersion="1" StateVersion="1" ActivationState="On"/>
</pm:MdState></msg:Mdib></msg:GetMdibResponse>"""


def main(reports: int, rate_hz: int) -> None:
    discovery = WSDiscoverySingleAdapter("lo")
    discovery.start()
    mdib = ProviderMdib.from_string(MDIB)
    provider = SdcProvider(
        discovery,
        ThisModelType(manufacturer="Bench", manufacturer_url="http://localhost", model_name="Bench", model_number="1", model_url="http://localhost",
                      presentation_url="http://localhost"),
        ThisDeviceType(friendly_name="Bench", firmware_version="1", serial_number="1"),
        mdib,
        epr=uuid.uuid4(),
    )
    provider.start_all(start_rtsample_loop=False)
    provider.set_location(SdcLocation(fac="B", poc="B", bed="1"))
    consumer = SdcConsumer(provider.get_xaddrs()[0], SdcV1Definitions, None)
    consumer.start_all(not_subscribed_actions=periodic_actions)
    seen = ConsumerMdib(consumer)
    seen.init_mdib()
    sent, took = {}, []

    def heard(states: dict) -> None:
        now = time.perf_counter_ns()
        state = states.get(METRIC)
        if state is not None and state.MetricValue is not None:
            took.append((now - sent[int(state.MetricValue.Value)]) // 1000)

    observableproperties.bind(seen, metrics_by_handle=heard)
    for number in range(1, reports + 21):
        began = time.perf_counter_ns()
        with mdib.metric_state_transaction() as transaction:
            state = transaction.get_state(METRIC)
            if state.MetricValue is None:
                state.mk_metric_value()
            sent[number] = time.perf_counter_ns()
            state.MetricValue.Value = Decimal(number)
        time.sleep(max(0.0, 1 / rate_hz - (time.perf_counter_ns() - began) / 1e9))
    time.sleep(0.5)
    print(json.dumps(took[20:]), flush=True)
    consumer.stop_all()
    provider.stop_all()
    discovery.stop()


main(int(sys.argv[1]), int(sys.argv[2]))
