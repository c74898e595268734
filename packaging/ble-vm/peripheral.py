"""The far side of the radio for `cargo xtask ble-vm`: a virtual controller for the machine behind SOCKET, and a heart-rate strap in its
air. Both are bumble's, so that nothing here shares code with the appliance. Usage: peripheral.py SOCKET"""

import asyncio
import sys

from bumble import controller, core, device, gatt, hci, host, link, transport
from bumble.profiles import battery_service, device_information_service, heart_rate_service

STRAP = "F0:F1:F2:F3:F4:F5"
RATE = 72
ENERGY_KJ = 7
INTERVALS_S = [0.8, 0.85]
BATTERY_PERCENT = 63


class Air(link.LocalLink):
    """Sends data from the address its connection goes by; bumble's own always takes the random one."""

    def send_acl_data(self, sender_controller, destination_address, transport, data):
        connection = sender_controller.le_connections.get(destination_address)
        destination = self.find_le_controller(destination_address)
        if connection is None or destination is None:
            return
        source = connection.self_address
        asyncio.get_running_loop().call_soon(lambda: destination.on_link_acl_data(source, transport, data))


async def main(socket: str) -> None:
    air = Air()
    async with await transport.open_transport(f"unix:{socket}") as machine:
        controller.Controller(
            "machine", host_source=machine.source, host_sink=machine.sink, link=air, public_address="00:AA:01:00:00:01"
        )
        strap = device.Device(name="Strap", address=hci.Address(STRAP), host=host.Host())
        strap.host.controller = controller.Controller("strap", host_source=strap.host, host_sink=None, link=air)
        heart = heart_rate_service.HeartRateService(
            read_heart_rate_measurement=lambda _: heart_rate_service.HeartRateService.HeartRateMeasurement(
                heart_rate=RATE, sensor_contact_detected=True, energy_expended=ENERGY_KJ, rr_intervals=INTERVALS_S
            ),
            body_sensor_location=heart_rate_service.HeartRateService.BodySensorLocation.CHEST,
        )
        strap.add_services(
            [
                heart,
                battery_service.BatteryService(lambda _: BATTERY_PERCENT),
                device_information_service.DeviceInformationService(manufacturer_name="bumble", serial_number="BUMBLE-1"),
            ]
        )
        strap.advertising_data = bytes(
            core.AdvertisingData(
                [
                    (core.AdvertisingData.FLAGS, bytes([0x06])),
                    (core.AdvertisingData.COMPLETE_LOCAL_NAME, b"Strap"),
                    (core.AdvertisingData.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, bytes(gatt.GATT_HEART_RATE_SERVICE)),
                ]
            )
        )
        await strap.power_on()
        await strap.start_advertising(auto_restart=True)
        print("the strap advertises", flush=True)
        while True:
            await asyncio.sleep(1)
            await strap.notify_subscribers(heart.heart_rate_measurement_characteristic)


asyncio.run(main(sys.argv[1]))
